"""Journals become Parquet files: idempotent, atomic, safe with several proxies in one folder."""

import itertools
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from mlflow_project.contract.locks import owned
from mlflow_project.contract.store import JOURNAL_SUFFIX, JournalHeader, read_journal
from serving.destination import Bucket, Folder, destination
from serving.errors import StoreUnreachable

GROUP_ROWS = 16_384
"""Most rows of a row group, so that a large journal does not have to fit in memory."""

_STEP_ROWS = 64
_DECODER: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[Any])

_ARROW_TYPES = {
    "string": pa.string(),
    "long": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}


def collect(journals: Path, store: Path | str) -> Iterator[tuple[Path, Exception | None]]:
    """Turn every journal without a living owner into a Parquet file of the same stem.

    Yields each journal that was taken, with what went wrong; such a journal stays where it is. An
    object store that does not answer ends the round: every other journal would wait as long for it.
    """
    for path in sorted(journals.glob(f"*{JOURNAL_SUFFIX}")):
        with owned(path) as mine:
            if not mine:
                continue
            try:
                convert(path, store)
            except StoreUnreachable as exc:
                yield path, exc
                return
            except (OSError, ValueError, pa.ArrowException) as exc:
                yield path, exc
            else:
                yield path, None


def convert(journal: Path, store: Path | str) -> None:
    """Write the stem's Parquet file unless its rows are in the store, then remove the journal.

    A crash at any point leaves the journal, the file, or both, and a second call finishes the work.

    Raises:
        OSError: the file cannot be written.
        StoreUnreachable: the object store does not take it.
        ValueError: the journal is damaged.
    """
    stem = journal.name.removesuffix(JOURNAL_SUFFIX)
    target = destination(store, journal.parent)
    if not target.has(stem) and not _is_compacted(target, stem):
        _write(journal, target, stem)
    journal.unlink()


def _is_compacted(target: Folder | Bucket, stem: str) -> bool:
    """Tell whether a compacted file holds the rows; today's never do, so nobody is asked."""
    day = stem[:8]
    return day != datetime.now(UTC).strftime("%Y%m%d") and stem in target.replaced(day)


def _write(journal: Path, target: Folder | Bucket, stem: str) -> None:
    """Write the journal's rows; a journal without rows makes no file."""
    tables = read_tables(journal)
    first = next(tables, None)
    if first is None:
        return
    with target.new_file(stem) as file, pq.ParquetWriter(file, first.schema) as writer:
        for table in itertools.chain([first], tables):
            writer.write_table(table)
    # What Arrow keeps for next time would count as this worker's memory until then.
    pa.default_memory_pool().release_unused()


def read_tables(journal: Path) -> Iterator[pa.Table]:
    """Yield a journal's complete rows as tables of up to `GROUP_ROWS`, constants included.

    Rows are taken in small steps, each of which lets other threads run: requests wait for this one.

    Raises:
        ValueError: a complete line is damaged; names the file and the line.
    """
    with journal.open("rb") as file:
        head = file.readline()
        if not head.endswith(b"\n"):
            return
        header = JournalHeader.from_line(head)
        steps = iter(lambda: list(itertools.islice(file, _STEP_ROWS)), [])
        while group := [
            batch
            for lines in itertools.islice(steps, GROUP_ROWS // _STEP_ROWS)
            if (batch := _batch(journal, header, lines)) is not None
        ]:
            yield pa.Table.from_batches(group)


def _batch(journal: Path, header: JournalHeader, lines: list[bytes]) -> pa.RecordBatch | None:
    """Return a few lines as typed columns, constants included; None for half a last line."""
    if not lines[-1].endswith(b"\n"):
        lines.pop()  # the process died while writing it, so it was never answered
    if not lines:
        return None
    width = len(header.columns)
    try:
        rows = _DECODER.decode_lines(b"".join(lines))
    except msgspec.DecodeError:
        rows = []
    if len(rows) != len(lines) or any(len(row) != width for row in rows):
        read_journal(journal)  # names the line
        raise ValueError(f"{journal}: damaged")
    values = dict(zip(header.columns, zip(*rows, strict=True), strict=True))
    arrays = {
        name: pa.array(
            values[name] if name in values else [header.constants[name]] * len(rows),
            _ARROW_TYPES[kind],
        )
        for name, kind in header.schema().items()
    }
    time.sleep(0)  # lets go of the interpreter
    return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))
