"""A model's history in MLflow: the ledger, the monitoring reports, and the proxies' reports.

Ledger and monitoring reports are written by other packages; their names are in `core.contract`.
Reading them takes several calls to a server that may be unreachable.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

from core.contract import names
from core.contract.model import ModelContract
from core.mlflow_client.errors import NotFound, UnreadableContract
from core.registry.packages import read_contract
from core.registry.proxies import ProxyReport, read_reports
from core.registry.runs import RunRecord, newest_runs
from core.registry.versions import Registry, Version

REPORTS = 20
"""Number of past reports of each job that are read."""
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
class FlipEffect:
    """The changes of the last flip: releases, thresholds in force, names of inputs."""

    before: str
    after: str
    thresholds: tuple[float | None, float | None]
    new_inputs: tuple[str, ...]
    lost_inputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReportRun:
    """One run of a reporting job; `status` is None for one that failed or is still running."""

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
    """Ledger entries and reports, newest first; the proxies by name; the last flip's effect."""

    changes: tuple[Change, ...] = ()
    drift: tuple[ReportRun, ...] = ()
    performance: tuple[ReportRun, ...] = ()
    proxies: tuple[ProxyReport, ...] = ()
    effect: FlipEffect | None = None

    @property
    def flip(self) -> Change | None:
        """Return the ledger's entry of the last flip; None without one."""
        return next((c for c in self.changes if c.action in names.LEDGER_FLIPS), None)


def read_history(registry: Registry) -> History:
    """Read the newest entries of the ledger, the last flip's effect, and the newest reports.

    Raises:
        RegistryUnreachable: the server does not respond, or not with a valid response.
    """
    ledger = newest_runs(registry, names.ledger_experiment(registry.name), most=_ENTRIES)
    experiment = names.monitoring_experiment(registry.name)

    def reports(job: str) -> tuple[ReportRun, ...]:
        found = newest_runs(registry, experiment, f"tags.{names.TAG_JOB} = '{job}'", REPORTS)
        return tuple(_report(job, run) for run in found)

    found = History(
        # Neither failed entries nor those imported with a bundle, about another server's aliases.
        tuple(
            _change(run)
            for run in ledger
            if run.status in _LIVING and names.LEDGER_ORIGIN not in run.tags
        ),
        reports(names.JOB_DRIFT),
        reports(names.JOB_PERFORMANCE),
        tuple(read_reports(registry)),
    )
    return replace(found, effect=_effect(registry, found.flip))


def _effect(registry: Registry, flip: Change | None) -> FlipEffect | None:
    """Return a flip's changes; None where one of its versions is gone or has no contract."""
    if flip is None or not (flip.before.isdecimal() and flip.after.isdecimal()):
        return None
    old, new = (_known(registry, int(number)) for number in (flip.before, flip.after))
    if old is None or new is None:
        return None
    inputs, were = new[1].feature_names, old[1].feature_names
    return FlipEffect(
        before=old[0].release,
        after=new[0].release,
        thresholds=(_threshold(*old), _threshold(*new)),
        new_inputs=tuple(name for name in inputs if name not in were),
        lost_inputs=tuple(name for name in were if name not in inputs),
    )


def _known(registry: Registry, number: int) -> tuple[Version, ModelContract] | None:
    version = registry.find(number)
    if version is None:
        return None
    described = version.tags.get(names.TAG_DESCRIPTION)
    try:
        contract = _contract(registry, number, version.created_ms, described)
    except (UnreadableContract, NotFound):
        return None
    return None if contract is None else (version, contract)


@lru_cache(maxsize=8)
def _contract(
    registry: Registry, number: int, _created_ms: int, _described: str | None
) -> ModelContract | None:
    """Return a version's contract; cached, as it changes only with the description's tag."""
    version = registry.find(number)
    return None if version is None else read_contract(registry, version)


def _threshold(version: Version, contract: ModelContract) -> float | None:
    return None if contract.outputs else version.threshold(contract)


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
