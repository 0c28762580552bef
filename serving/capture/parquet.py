"""Journals become Parquet files: idempotent, atomic, safe with several proxies in one folder."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from core.store.journal_locks import owned
from core.store.schema import JOURNAL_SUFFIX
from serving.capture.destination import Bucket, Folder, destination
from serving.capture.journal_arrow import read_tables
from serving.errors import StoreUnreachable


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
