"""What our commands left in MLflow about a model: flips, threshold changes, reports.

The ledger and the reports are written by other packages; their names are the contract's. Reading
them takes several calls to a server that may be away, so it happens in a thread of its own, at most
every few seconds, and whoever asks does not wait long.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from core.contract import names
from core.messages import _
from core.registry.errors import RegistryError
from core.registry.runs import RunRecord, newest_runs
from core.registry.versions import Registry
from serving.telemetry.logs import location

KEPT_SECONDS = 10.0
"""How long what was read is shown before it is read again, in seconds."""
PATIENCE_SECONDS = 3.0
"""Longest time that a page waits for MLflow, in seconds."""
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
class Report:
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
    """All of it, newest first."""

    changes: tuple[Change, ...] = ()
    drift: tuple[Report, ...] = ()
    performance: tuple[Report, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """The newest history there is, when it was read, and why there is no newer one."""

    history: History = History()
    when: datetime | None = None
    problem: str | None = None


def read_history(registry: Registry) -> History:
    """Read the newest entries of the ledger and the newest reports.

    Raises:
        RegistryUnreachable: the server does not answer as it should.
    """
    ledger = newest_runs(registry, names.ledger_experiment(registry.name), most=_ENTRIES)
    experiment = names.monitoring_experiment(registry.name)

    def reports(job: str) -> tuple[Report, ...]:
        found = newest_runs(registry, experiment, f"tags.{names.TAG_JOB} = '{job}'", REPORTS)
        return tuple(_report(job, run) for run in found)

    return History(
        tuple(_change(run) for run in ledger if _ours(run)),
        reports(names.JOB_DRIFT),
        reports(names.JOB_PERFORMANCE),
    )


class HistoryReader:
    """Reads the history when asked, and remembers it."""

    def __init__(self, registry: Registry) -> None:
        """Keep what is read; nothing is asked before the first `latest`."""
        self._registry = registry
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._begun = self._ended = -KEPT_SECONDS
        self._last = Reading()

    def latest(self) -> Reading:
        """Return what is known; blocks for `PATIENCE_SECONDS` at most."""
        with self._lock:
            now = time.monotonic()
            if self._thread is None and now - self._ended >= KEPT_SECONDS:
                self._begun = now
                # A daemon: a server that never answers must not keep the process from ending.
                self._thread = threading.Thread(target=self._read, name="history", daemon=True)
                self._thread.start()
            thread = self._thread
        if thread is not None:
            thread.join(max(0.0, self._begun + PATIENCE_SECONDS - time.monotonic()))
            if thread.is_alive():
                text = _("MLflow did not answer within {seconds} seconds", seconds=PATIENCE_SECONDS)
                return Reading(self._last.history, self._last.when, text)
        return self._last

    def _read(self) -> None:
        try:
            self._last = Reading(read_history(self._registry), datetime.now(UTC))
        except Exception as exc:
            text = str(exc) if isinstance(exc, RegistryError) else location(exc)
            self._last = Reading(self._last.history, self._last.when, text)
        finally:
            with self._lock:
                self._ended, self._thread = time.monotonic(), None


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


def _report(job: str, run: RunRecord) -> Report:
    tags = run.tags
    note = tags.get("mlflow.note.content", "").strip()
    return Report(
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
