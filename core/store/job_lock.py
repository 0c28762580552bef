"""One job at a time changes a store; readers and proxies never wait for it.

A folder has a lock file, which the system lets go of when its holder dies. A bucket has none: each
job puts a claim of its own, then looks for others. Of two jobs the one that looks later sees the
other's claim and gives up; that may be both, never none. A claim that its job left behind when it
was killed counts for `CLAIM_SECONDS` by the bucket's own clock.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.store.journal_locks import lock
from monitoring.errors import MonitoringError
from monitoring.store.filesystem import Store

CLAIM_SECONDS = 6 * 3600.0
"""Longer than any job takes."""

_LOCK = ".compact.lock"
_CLAIMS = ".claims"


class StoreBusyError(MonitoringError):
    """Another job is changing the store."""

    def __init__(self, store: Store) -> None:
        """Name the store, and what to do when a killed job has left its claim in a bucket."""
        killed = "" if store.folder else f", ou apague {store}/{_CLAIMS}/ se ela foi interrompida"
        super().__init__(
            f"Outra compactação ou retenção de {store} está em andamento; repita depois{killed}."
        )


@contextmanager
def exclusive(store: Store) -> Iterator[None]:
    """Hold the store for this job.

    Raises:
        StoreBusyError: another job holds it.
    """
    with _locked(store, store.folder) if store.folder else _claimed(store):
        yield


@contextmanager
def _locked(store: Store, folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    fd = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o640)
    try:
        if not lock(fd):
            raise StoreBusyError(store)
        yield
    finally:
        os.close(fd)


@contextmanager
def _claimed(store: Store) -> Iterator[None]:
    name = uuid.uuid4().hex
    with store.reaching():
        store.filesystem.open_output_stream(store.path(f"{_CLAIMS}/{name}")).close()
    claims = {claim.path.name: claim for claim in store.listed(_CLAIMS)}
    mine = claims.pop(name)
    try:
        for other in claims.values():
            if mine.modified - other.modified < CLAIM_SECONDS:
                raise StoreBusyError(store)
            store.delete(other.path)
        yield
    finally:
        store.delete(mine.path)
