"""The ledger: one MLflow run per change of a version or its aliases made by our commands.

MLflow records neither time nor user of an alias change. An entry is opened before the aliases move
and closed after, so an interrupted flip is detectable: its entry is the newest and still open.
"""

import getpass
import hashlib
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import islice
from typing import Any

from core.contract import names
from core.files.locks import locked
from core.files.scratch import lock_folder
from core.mlflow_client.client import paged
from core.registry.runs import experiment_id
from core.registry.versions import Registry

_TAGS = ("action", "before", "after", "version", "previous", "host", "forced")
"""Tags of an entry's run that are fields of the entry under the same name."""
_OPEN = "RUNNING"
_HOLDS = "attributes.status != 'KILLED' and attributes.status != 'FAILED'"
_PAGE = 1000
RECENT = 50
IN_FLIGHT = timedelta(minutes=2)
"""Age up to which an open entry made without our lock is left alone; a flip takes less than 1 s."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One entry of the ledger.

    `before` and `after` are registry version numbers for a flip (empty: there was no champion), and
    thresholds as text for a threshold change. `previous` is the version at that alias before the
    flip, `forced` the failed gate criteria that were overridden. `origin` is true for an entry that
    was made on another server; then versions are given by release.
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
    host: str
    forced: str
    open: bool
    origin: bool

    @property
    def moved_champion(self) -> bool:
        """Return whether the entry records a move of this server's `champion`."""
        return self.action in names.LEDGER_FLIPS and not self.origin

    @property
    def in_flight(self) -> bool:
        """Return whether an open entry may be in progress: of another host or user, and recent.

        One of this user on this host was interrupted: its process would hold our lock.
        """
        ours = self.host in ("", this_host()) and self.who in ("", getpass.getuser())
        return self.open and not ours and datetime.now(UTC) - self.when < IN_FLIGHT


class Ledger:
    """The ledger of one registered model, oldest entry first."""

    def __init__(self, registry: Registry) -> None:
        """Open the ledger that belongs to this registry's model."""
        self._registry = registry
        self._client = registry.client

    @cached_property
    def _experiment(self) -> str:
        return experiment_id(self._registry, names.ledger_experiment(self._registry.name))

    def entries(self, last: int | None = None) -> list[LedgerEntry]:
        """Return all entries or the `last` ones, oldest first; undone ones are left out."""
        return list(islice(self._newest(last or _PAGE), last))[::-1]

    def _newest(self, page_size: int) -> Iterator[LedgerEntry]:
        """Yield entries, newest first, one page per request."""
        within, order = [self._experiment], ["attribute.start_time DESC"]
        search = self._client.search_runs
        told: set[str] = set()
        for run in paged(lambda token: search(within, _HOLDS, 1, page_size, order, token)):
            # An entry added meanwhile shifts the others to later pages, which repeats some.
            if run.info.run_id not in told:
                told.add(run.info.run_id)
                yield _read(run)

    def flips(self) -> list[LedgerEntry]:
        """Return the last 50 entries that moved `champion`, oldest first, open or not.

        Every command reconciles them, so earlier ones were reconciled long ago.
        """
        moved = (entry for entry in self._newest(RECENT) if entry.moved_champion)
        return list(islice(moved, RECENT))[::-1]

    def begin(self, action: str, why: str, **facts: str) -> str:
        """Create an open entry; return its run's id. Empty facts are left out.

        Its time is later than that of every other entry, whatever the hosts' clocks, since entries
        are ordered by it.
        """
        title = f"{action} {facts.get('before') or '–'} → {facts.get('after') or '–'}"
        tags = {"host": this_host(), **{k: v for k, v in facts.items() if v}}
        tags |= {"action": action, "reason": why, "mlflow.user": getpass.getuser()}
        newest = max((e.when.timestamp() for e in self.entries(last=1)), default=0.0)
        start = max(int(time.time() * 1000), round(newest * 1000) + 1)
        run = self._client.create_run(self._experiment, start, tags, title)
        return str(run.info.run_id)

    def record(self, action: str, why: str, **facts: str) -> None:
        """Create a closed entry for a completed change."""
        self.close(self.begin(action, why, **facts))

    def copy(self, facts: Mapping[str, Any]) -> None:
        """Copy an entry of another server's ledger, once; no alias changes."""
        origin = str(facts["run_id"])
        experiment = self._experiment
        if self._client.search_runs([experiment], f"tags.{names.LEDGER_ORIGIN} = '{origin}'"):
            return
        kept = ("action", "before", "after", "version", "host", "forced")
        tags = {key: str(facts[key]) for key in kept if facts.get(key)}
        tags |= {names.LEDGER_ORIGIN: origin, "reason": facts["why"], "mlflow.user": facts["who"]}
        title = f"{facts['action']} ({origin[:8]})"
        run = self._client.create_run(experiment, int(facts["when"]), tags, title)
        self._client.set_terminated(run.info.run_id, "FINISHED", int(facts["when"]))

    def close(self, run_id: str) -> None:
        """Mark an entry as done."""
        self._client.set_terminated(run_id, "FINISHED")

    def undo(self, run_id: str) -> None:
        """Mark an entry as undone; it is no longer returned."""
        self._client.set_terminated(run_id, "KILLED")


def _read(run: Any) -> LedgerEntry:
    tags = run.data.tags
    return LedgerEntry(
        run_id=run.info.run_id,
        when=datetime.fromtimestamp(run.info.start_time / 1000, UTC),
        who=tags.get("mlflow.user", ""),
        why=tags.get("reason", ""),
        open=run.info.status == _OPEN,
        origin=names.LEDGER_ORIGIN in tags,
        **{name: tags.get(name, "") for name in _TAGS},
    )


def this_host() -> str:
    """Return the name of this machine or container."""
    return socket.gethostname()


@contextmanager
def exclusive(registry: Registry) -> Iterator[None]:
    """Hold this user's lock on the model's aliases; block until it is free.

    Other users and hosts have other locks; concurrent changes are reconciled by the ledger.
    """
    key = hashlib.sha256(f"{registry.place} {registry.name}".encode()).hexdigest()[:16]
    with locked(lock_folder() / f"flip-{key}.lock"):
        yield
