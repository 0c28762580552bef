"""How a report leaves the house: files, an MLflow run, a message, the version's tags, the console.

Every report command does this in the same order; the tags on the version are set last, so that they
never speak of a report that was not logged.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.captured.reader import Captures
from core.cli.arguments import say
from core.contract import names
from core.files.whole import replacing
from core.messages import _
from core.messages.system import system_reason
from core.registry.runs import OpenRun
from core.store.quarantined import told
from monitoring.tracking.about import About
from monitoring.tracking.errors import OutputError
from monitoring.tracking.escalation import Escalation
from monitoring.tracking.jobs import JobRegistry, MonitoredVersion
from monitoring.tracking.notification import notify
from monitoring.tracking.window import Window


@dataclass(frozen=True, slots=True)
class Report:
    """What a job found, ready to be written, logged and told.

    Attributes:
        page: the HTML.
        numbers: the same as data, besides what every report says of itself (`About`).
        headline: the finding in one sentence.
        lines: what the console says between the headline and where to read on.
        escalation: who has to act; None for a report that asks nothing of anybody.
        status: verdict, for the console and the run's tag; None where there is none.
        note: the run's description; the headline unless given.
        standing: tags of the version, as they are after this report.
    """

    page: str
    numbers: Mapping[str, Any]
    params: Mapping[str, Any]
    metrics: Mapping[str, float | None]
    headline: str
    lines: Sequence[str] = ()
    escalation: Escalation | None = None
    status: str | None = None
    note: str = ""
    standing: Mapping[str, str] = field(default_factory=dict)

    def tags(self) -> dict[str, str]:
        """Return the tags of the job's run."""
        tags = {"mlflow.note.content": self.note or self.headline}
        if self.escalation:
            tags["mlflow.note.content"] = self.escalation.note(self.note or self.headline)
            tags[names.TAG_ESCALATION] = self.escalation.level
        if self.status:
            tags[names.TAG_STATUS] = self.status
        return tags


def publish(
    registry: JobRegistry,
    version: MonitoredVersion,
    job: str,
    window: Window,
    output: Path,
    make: Callable[[About], Report],
    *read: Captures,
) -> None:
    """Make a report within a run of `job`, and let everybody have it who should.

    A second report of a day replaces the first one's files. It says which files of what was `read`
    could not be, so that their rows are missing.

    Raises:
        OutputError: a file cannot be written.
    """
    day = window.end.astimezone().strftime("%Y%m%d")
    # By its name a file may belong to several of them.
    unread = list(dict.fromkeys(file for one in read for file in one.quarantined))
    days = "" if window.days is None else f" {window.days:g}d"
    with registry.run(version, job, f"{job} {version.release}{days}") as run:
        about = _about(registry, version, window, run, told(unread))
        report = make(about)
        # NaN is refused, since no JSON reader must know it.
        numbers = {**about.to_dict(), **report.numbers}
        text = json.dumps(numbers, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        folder = output / version.release
        paths = [
            _write(folder / f"{job}_report_{day}.html", report.page),
            _write(folder / f"{job}_metrics_{day}.json", text),
        ]
        run.log(
            {
                "model_version": version.release,
                "registry_version": version.number,
                **window.params(),
                **report.params,
            },
            {**report.metrics, "files_unread": float(len(unread))},
            report.tags(),
        )
        for path in paths:
            run.log_file(path, job)
        sent = None
        if report.escalation:
            sent = notify(registry, version, run, report.escalation, report.headline)
    for tag, value in report.standing.items():
        registry.set_tag(version, tag, value)
    _tell(report, about, paths, run, sent)


def _write(path: Path, text: str) -> Path:
    try:
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise OutputError(folder=path.parent, reason=system_reason(exc)) from exc
    return path


def _about(
    registry: JobRegistry,
    version: MonitoredVersion,
    window: Window,
    run: OpenRun,
    missing: Sequence[str],
) -> About:
    return About(
        model_name=version.name,
        model_version=version.release,
        registry_version=version.number,
        window_start=window.start,
        window_end=window.end,
        run_id=run.id,
        run_url=run.url,
        version_url=registry.version_url(version),
        missing=tuple(missing),
    )


def _tell(
    report: Report, about: About, paths: Sequence[Path], run: OpenRun, sent: str | None
) -> None:
    """Print the verdict, what lies behind it, and where to read on."""
    action = report.escalation
    say(
        *([_("Status: {status}", status=report.status)] if report.status else []),
        report.headline,
        *report.lines,
        *about.missing,
        *filter(None, [action.action, action.command] if action else []),
        _("Report: {path}", path=paths[0]),
        _("Metrics: {path}", path=paths[1]),
        _("MLflow run: {url}", url=run.url),
        *filter(None, [sent]),
    )
