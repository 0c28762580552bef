"""Jobs on a full disk: one error, no partial files, and the next run completes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.captured.reader import Captures
from core.captured.selection import Selection
from core.files.whole import replacing
from core.store.errors import StoreUnwritable
from core.store.filesystem import Store
from core.store.job_lock import exclusive
from core.store.row_filters import OfPerson
from core.upkeep.compaction import compact
from core.upkeep.erasure import erase
from serving.capture.parquet import collect
from tests.stored import StoreWriter, fill_disk

YESTERDAY = timedelta(days=1, hours=1)


def rows(entity: str, start: int) -> list[dict[str, Any]]:
    """Return forty scored rows that do not compress."""
    return [
        {"temperature": start + n / 7, "pressure": n / 11, "score": n / 97, "entity": entity}
        for n in range(40)
    ]


def contents(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder except the filler."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "filler")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def scores(store: Store) -> list[float]:
    """Return the score of every row of version 1."""
    now = datetime.now(UTC)
    selection = Selection("modelo", 1, now - timedelta(days=7), now)
    captures = Captures(store, selection, {"temperature": "double"})
    return [s for batch in captures.rows(["score"]) for s in batch.column(0).to_pylist()]


def convert(store: Store) -> None:
    """Convert every journal; raise the first error."""
    for _path, error in collect(store):
        if error is not None:
            raise error


JOBS: dict[str, tuple[Callable[[Store], object], type[Exception]]] = {
    "conversion": (convert, OSError),
    "compaction": (compact, StoreUnwritable),
    "erasure": (lambda store: erase(store, OfPerson("ana")), StoreUnwritable),
}


@pytest.mark.parametrize("job", JOBS)
def test_nothing_half_written_stays(job: str, small_disk: Path) -> None:
    """A job on a full disk raises one error, changes no file, and succeeds once there is room."""
    writer = StoreWriter(small_disk / "store")
    for number in range(3):
        people = [*rows("ana", 100 * number)[:20], *rows("bia", 100 * number)[20:]]
        writer.parquet(writer.journal(people, age=YESTERDAY))
    if job == "conversion":
        writer.journal(rows("caio", 900))
    store = writer.store
    run, error = JOBS[job]
    with exclusive(store):
        pass  # its lock file is made while there is room
    before = contents(writer.folder)
    filler = fill_disk(small_disk)
    with pytest.raises(error):
        run(store)
    assert contents(writer.folder) == before
    filler.unlink()
    run(store)
    assert not list(writer.folder.rglob("*.tmp"))
    assert len(scores(store)) == {"conversion": 160, "compaction": 120, "erasure": 60}[job]


def test_a_file_that_does_not_fit_leaves_the_old_one(small_disk: Path) -> None:
    """A write that does not fit keeps the old file and leaves no temporary file."""
    target = small_disk / "report.html"
    with replacing(target) as path:
        path.write_text("old")
    filler = fill_disk(small_disk)
    with pytest.raises(OSError, match="space"), replacing(target) as path:
        path.write_bytes(b"new" * 100_000)
    filler.unlink()
    assert contents(small_disk) == {"report.html": b"old"}
