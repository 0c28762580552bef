"""Scheduled routines of the operators (runbook §4): `huey_consumer monitoring.routines.huey`.

`python -m monitoring.routines` lists them.

Huey, a dependency of MLflow, is the scheduler. Its queue is in memory with one worker, so two
routines never run at once. A failed routine is logged and does not stop later ones. Times are in
`TZ`. Runs missed while the scheduler was down are not made up for.
"""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from huey import MemoryHuey, crontab  # type: ignore[import-untyped]

from core.cli.arguments import parser, say
from core.cli.text_tables import text_table
from core.messages import N_, _

huey = MemoryHuey("routines", utc=False)


@dataclass(frozen=True, slots=True)
class Routine:
    """A module to run with arguments on the schedule `when` (crontab fields; 0 is Sunday).

    `days` describes the days of the schedule, for display.
    """

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    when: Mapping[str, str] = field(default_factory=dict)
    days: str = N_("every day")

    def run(self) -> int:
        """Run it in a subprocess that inherits the standard streams; return its exit code."""
        started = time.monotonic()
        say(_("routine {name}: start", name=_(self.name)))
        command = [sys.executable, "-m", self.module, *self.arguments]
        code = subprocess.run(command, check=False).returncode
        done = N_("routine {name}: done in {seconds} s")
        failed = N_("routine {name}: ended with code {code} in {seconds} s")
        seconds = f"{time.monotonic() - started:.0f}"
        say(_(failed if code else done, name=_(self.name), code=code, seconds=seconds))
        return code


_CLOCK = "huey_consumer monitoring.routines.huey --workers 1 --simple"
_KEEP_DAYS = os.environ.get("RETENTION_DAYS") or "180"

ROUTINES = (
    Routine(N_("compaction"), "monitoring.compact", (), {"hour": "3", "minute": "0"}),
    Routine(
        N_("retention"),
        "monitoring.retention",
        ("--days", _KEEP_DAYS, "--apply"),
        {"hour": "3", "minute": "30"},
    ),
    Routine(
        N_("daily drift"),
        "monitoring.drift_report",
        ("--last_n_days", "1"),
        {"hour": "6", "minute": "0"},
    ),
    Routine(
        N_("weekly drift"),
        "monitoring.drift_report",
        ("--last_n_days", "7", "--output", "monitoring/reports/semanal"),
        {"hour": "6", "minute": "30", "day_of_week": "1"},
        N_("Mondays"),
    ),
    # Evidence for the monthly renewal of the baseline (§4.3). The renewal itself is an operator's
    # decision: on a schedule it would absorb any drift into the baseline.
    Routine(
        N_("monthly drift"),
        "monitoring.drift_report",
        ("--last_n_days", "30", "--output", "monitoring/reports/mensal"),
        {"hour": "7", "minute": "0", "day": "1"},
        N_("1st of the month"),
    ),
)

TASKS = {
    _(routine.name): huey.periodic_task(crontab(**routine.when), name=_(routine.name))(routine.run)
    for routine in ROUTINES
}
"""The routines as registered with the scheduler, by translated name."""


def listing() -> str:
    """Return the routines as a text table: time, days, name and the command to run each by hand."""
    rows = [
        [
            f"{int(routine.when['hour']):02}:{int(routine.when['minute']):02}",
            _(routine.days),
            _(routine.name),
            shlex.join(["python", "-m", routine.module, *routine.arguments]),
        ]
        for routine in ROUTINES
    ]
    return text_table([_("time"), _("day"), _("routine"), _("by hand")], rows)


def main(argv: Sequence[str] | None = None) -> int:
    """List the routines; return the exit code."""
    arguments = parser(
        "monitoring.routines",
        _("Lists the routines and when they run (TZ). This starts their clock: {c}", c=_CLOCK),
    )
    as_json = _("as JSON, for other schedulers: name, module, arguments, crontab fields")
    arguments.add_argument("--json", action="store_true", help=as_json)
    if arguments.parse_args(argv).json:
        say(json.dumps([asdict(routine) for routine in ROUTINES]))
        return 0
    say(listing(), _("This starts their clock: {c}", c=_CLOCK))
    return 0


if __name__ == "__main__":
    sys.exit(main())
