"""Publication of a report: files, MLflow run, notification, the version's tags, console.

Every report command uses this order; the version's tags are set only after the run is logged, so
that they never refer to a report that was not.
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
    """A job's result, ready to be written, logged and printed.

    Attributes:
        page: the HTML.
        numbers: the same as JSON data, without the header of every report (`About`).
        headline: the result in one sentence.
        lines: console lines between the headline and the location of the report.
        escalation: level and required action; None for a report that has no escalation.
        status: verdict, for the console and the run's tag; None where there is none.
        note: the run's description; the headline unless given.
        standing: tags to set on the version.
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
    """Make a report within a run of `job`, and publish it.

    A second report of a day replaces the first one's files. The report lists the quarantined files
    of what was `read`, whose rows are missing.

    Raises:
        OutputError: a file cannot be written.
    """
    day = window.end.astimezone().strftime("%Y%m%d")
    # Files are matched to captures by name, so several may list the same one.
    unread = list(dict.fromkeys(file for one in read for file in one.quarantined))
    days = "" if window.days is None else f" {window.days:g}d"
    with registry.run(version, job, f"{job} {version.release}{days}") as run:
        about = _about(registry, version, window, run, told(unread))
        report = make(about)
        # NaN is refused: it is not valid JSON.
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
    """Print the verdict, its details, and the locations of the report."""
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
