"""One job at a time changes a store; readers and proxies never wait for it.

A folder has a lock file, which the system lets go of when its holder dies. A bucket has none: each
job puts a claim of its own, then looks for others. Of two jobs the one that looks later sees the
other's claim and gives up; that may be both, never none. A claim that its job left behind when it
was killed counts for `CLAIM_SECONDS` by the bucket's own clock.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from core.files.locks import locked
from core.files.whole import make_folder
from core.store.errors import BucketBusy, StoreBusy
from core.store.filesystem import Store

CLAIM_SECONDS = 6 * 3600.0
"""Longer than any job takes."""

_LOCK = ".compact.lock"
_CLAIMS = ".claims"


@contextmanager
def exclusive(store: Store) -> Iterator[None]:
    """Hold the store for this job.

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
