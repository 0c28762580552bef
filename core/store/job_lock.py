"""Mutual exclusion of jobs that change a store; readers and proxies never wait for it.

A folder has a lock file, which the system releases when its holder ends. A bucket has none: each
job writes a claim of its own, then lists the others. Of two jobs at least the one that lists later
sees the other's claim and gives up, possibly both. The claim of a killed job expires after
`CLAIM_SECONDS` by the bucket's own clock.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from core.files.locks import locked
from core.files.whole import make_folder
from core.store.errors import BucketBusy, StoreBusy
from core.store.filesystem import Store

CLAIM_SECONDS = 6 * 3600.0
"""Lifetime of a claim in seconds, longer than any job takes."""

_LOCK = ".compact.lock"
_CLAIMS = ".claims"


@contextmanager
def exclusive(store: Store) -> Iterator[None]:
    """Hold the exclusive lock of the store for this job.

    Raises:
        StoreBusy: another job holds it.
    """
    if store.folder is None:
        with _claimed(store):
            yield
        return
    make_folder(store.folder)
    with locked(store.folder / _LOCK, wait=False) as fd:
        if fd is None:
            raise StoreBusy(store=store)
        yield


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
                raise BucketBusy(store=store, claims=f"{store}/{_CLAIMS}/")
            store.delete(other.path)
        yield
    finally:
        store.delete(mine.path)
