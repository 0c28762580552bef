"""What our commands and the proxies left in MLflow about a model: flips, reports, who serves what.

The ledger and the reports are written by other packages; their names are the contract's. Reading
them takes several calls to a server that may be away.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from core.contract import names
from core.registry.proxies import ProxyReport, read_reports
from core.registry.runs import RunRecord, newest_runs
from core.registry.versions import Registry

REPORTS = 20
"""How many past reports of each kind are read."""
_ENTRIES = 50
_LIVING = ("FINISHED", "RUNNING")


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the ledger; `after` is a version number for a flip, else a threshold."""

    action: str
    when: datetime
    who: str
    why: str
    before: str
    after: str
    version: str


@dataclass(frozen=True, slots=True)
class ReportRun:
    """One run of a reporting job; `status` is None for one that failed or is still going on."""

    job: str
    run_id: str
    experiment_id: str
    when: datetime
    release: str
    number: str
    status: str | None
    failed: bool
    escalation: str
    sentence: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class History:
    """All of it, newest first; the proxies by name."""

    changes: tuple[Change, ...] = ()
    drift: tuple[ReportRun, ...] = ()
    performance: tuple[ReportRun, ...] = ()
    proxies: tuple[ProxyReport, ...] = ()


def read_history(registry: Registry) -> History:
    """Read the newest entries of the ledger and the newest reports.

    Raises:
        RegistryUnreachable: the server does not answer as it should.
    """
    ledger = newest_runs(registry, names.ledger_experiment(registry.name), most=_ENTRIES)
    experiment = names.monitoring_experiment(registry.name)

    def reports(job: str) -> tuple[ReportRun, ...]:
        found = newest_runs(registry, experiment, f"tags.{names.TAG_JOB} = '{job}'", REPORTS)
        return tuple(_report(job, run) for run in found)

    return History(
        tuple(_change(run) for run in ledger if _ours(run)),
        reports(names.JOB_DRIFT),
        reports(names.JOB_PERFORMANCE),
        tuple(read_reports(registry)),
    )


def _ours(run: RunRecord) -> bool:
    """Tell whether an entry holds, and tells of this server's aliases."""
    return run.status in _LIVING and names.LEDGER_ORIGIN not in run.tags


def _change(run: RunRecord) -> Change:
    tags = run.tags
    return Change(
        action=tags.get("action", ""),
        when=run.started,
        who=tags.get("mlflow.user", ""),
        why=tags.get("reason", ""),
        before=tags.get("before", ""),
        after=tags.get("after", ""),
        version=tags.get("version", ""),
    )


def _report(job: str, run: RunRecord) -> ReportRun:
    tags = run.tags
    note = tags.get("mlflow.note.content", "").strip()
    return ReportRun(
        job=job,
        run_id=run.run_id,
        experiment_id=run.experiment_id,
        when=run.started,
        release=tags.get(names.TAG_RELEASE, ""),
        number=tags.get(names.TAG_REGISTRY_VERSION, ""),
        status=tags.get(names.TAG_STATUS) if run.status == "FINISHED" else None,
        failed=run.status in ("FAILED", "KILLED"),
        escalation=tags.get(names.TAG_ESCALATION, "NONE"),
        sentence=note.split("\n\n")[0],
        params=run.params,
        metrics=run.metrics,
    )
