"""The operators' routines on a clock (runbook §4): `huey_consumer monitoring.routines.huey`.

Huey is the scheduler; MLflow brings it. Its queue lives in memory and one worker empties it, so two
routines never run at once. A routine that fails says so in the log, and the next ones run all the
same. Times are those of `TZ`. What should have run while the scheduler was down is not made up for.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from huey import MemoryHuey, crontab  # type: ignore[import-untyped]

from core.cli.arguments import say
from core.messages import N_, _

huey = MemoryHuey("routines", utc=False)


@dataclass(frozen=True, slots=True)
class Routine:
    """A module run with arguments when the clock matches `when` (crontab fields; 0 is Sunday)."""

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    when: Mapping[str, str] = field(default_factory=dict)

    def run(self) -> int:
        """Run it in a process of its own, its words in ours; return its exit code."""
        started = time.monotonic()
        say(_("routine {name}: start", name=_(self.name)))
        command = [sys.executable, "-m", self.module, *self.arguments]
        code = subprocess.run(command, check=False).returncode
        done = N_("routine {name}: done in {seconds} s")
        failed = N_("routine {name}: ended with code {code} in {seconds} s")
        seconds = f"{time.monotonic() - started:.0f}"
        say(_(failed if code else done, name=_(self.name), code=code, seconds=seconds))
        return code


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
    ),
    # The evidence for the monthly baseline (§4.3). Renewing it stays an operator's decision: done
    # by a clock, it would make any drift the new normal.
    Routine(
        N_("monthly drift"),
        "monitoring.drift_report",
        ("--last_n_days", "30", "--output", "monitoring/reports/mensal"),
        {"hour": "7", "minute": "0", "day": "1"},
    ),
)

TASKS = {
    _(routine.name): huey.periodic_task(crontab(**routine.when), name=_(routine.name))(routine.run)
    for routine in ROUTINES
}
"""The routines as the scheduler knows them."""
