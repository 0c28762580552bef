"""The ledger: one MLflow run per flip or threshold change made by our commands.

MLflow records neither time nor user of an alias change. An entry is opened before the aliases move
and closed after, so a flip that died in between is seen: it is the newest entry and still open.
"""

import fcntl
import getpass
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mlflow.entities import Run, ViewType

from mlflow_project.contract import names
from mlflow_project.versions import Registry, translated

PROMOTE, ROLLBACK = names.LEDGER_PROMOTE, names.LEDGER_ROLLBACK
THRESHOLD, UNRECORDED = names.LEDGER_THRESHOLD, names.LEDGER_UNRECORDED
FLIPS = names.LEDGER_FLIPS
_OPEN = "RUNNING"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger.

    `before` and `after` are registry version numbers for a flip (None: there was no champion), and
    thresholds as text for a threshold change. `previous` is where the alias stood before the flip.
    """

    run_id: str
    action: str
    when: datetime
    who: str
    why: str
    before: str
    after: str
    version: str
    previous: str
    open: bool


class Ledger:
    """The flips of one registered model, oldest first."""

    def __init__(self, registry: Registry) -> None:
        """Open the ledger that belongs to this registry's model."""
        self._registry = registry
        self._client = registry.client

    def _experiment(self) -> str:
        name = names.ledger_experiment(self._registry.name)
        with translated(self._registry.tracking_uri):
            found = self._client.get_experiment_by_name(name)
            return str(found.experiment_id if found else self._client.create_experiment(name))

    def entries(self) -> list[Entry]:
        """Return all entries, oldest first; undone ones are left out."""
        runs: list[Run] = []
        token: str | None = None
        experiment = self._experiment()
        with translated(self._registry.tracking_uri):
            while True:
                page = self._client.search_runs(
                    [experiment], "", ViewType.ACTIVE_ONLY, 1000, ["attribute.start_time"], token
                )
                runs.extend(page)
                token = page.token
                if not token:
                    break
        return [self._read(run) for run in runs if run.info.status in (_OPEN, "FINISHED")]

    def _read(self, run: Run) -> Entry:
        tags = run.data.tags
        return Entry(
            run_id=run.info.run_id,
            action=tags.get("action", ""),
            when=datetime.fromtimestamp(run.info.start_time / 1000, UTC),
            who=tags.get("mlflow.user", ""),
            why=tags.get("reason", ""),
            before=tags.get("before", ""),
            after=tags.get("after", ""),
            version=tags.get("version", ""),
            previous=tags.get("previous", ""),
            open=run.info.status == _OPEN,
        )

    def last_flip(self) -> Entry | None:
        """Return the newest entry that moved `champion`, open or not."""
        flips = [entry for entry in self.entries() if entry.action in FLIPS]
        return flips[-1] if flips else None

    def begin(self, action: str, why: str, **facts: str) -> str:
        """Write an open entry; return its run's id. Empty facts are left out."""
        title = f"{action} {facts.get('before') or '–'} → {facts.get('after') or '–'}"
        tags = {k: v for k, v in facts.items() if v}
        tags |= {"action": action, "reason": why, "mlflow.user": getpass.getuser()}
        with translated(self._registry.tracking_uri):
            run = self._client.create_run(self._experiment(), tags=tags, run_name=title)
        return str(run.info.run_id)

    def close(self, run_id: str) -> None:
        """Mark an entry as done."""
        with translated(self._registry.tracking_uri):
            self._client.set_terminated(run_id, "FINISHED")

    def undo(self, run_id: str) -> None:
        """Mark an entry as taken back; it no longer counts."""
        with translated(self._registry.tracking_uri):
            self._client.set_terminated(run_id, "KILLED")


@contextmanager
def exclusive(registry: Registry) -> Iterator[None]:
    """Hold this host's lock for the model's aliases; wait for whoever holds it."""
    key = hashlib.sha256(f"{registry.tracking_uri} {registry.name}".encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"mlflow-flip-{key}.lock"
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
