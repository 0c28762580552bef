"""Journals become Parquet files: idempotent, atomic, safe with several proxies in one folder."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from core.files.locks import owned
from core.store.errors import FileDamaged, StoreUnreachable
from core.store.filesystem import Store
from core.store.journal_arrow import journals_of, read_tables
from core.store.listing import is_replaced


def collect(store: Store) -> Iterator[tuple[Path, Exception | None]]:
    """Turn every journal without a living owner into a Parquet file of the same stem.

    Yields each journal that was taken, with what went wrong; such a journal stays where it is. An
    object store that does not answer ends the round: every other journal would wait as long for it.
    """
    for path in journals_of(store.journals):
        with owned(path) as mine:
            if not mine:
                continue
            try:
                convert(path, store)
            except StoreUnreachable as exc:
                yield path, exc
                return
            except (OSError, FileDamaged, pa.ArrowException) as exc:
                yield path, exc
            else:
                yield path, None


def convert(journal: Path, store: Store) -> None:
    """Write the stem's Parquet file unless its rows are in the store, then remove the journal.

    A crash at any point leaves the journal, the file, or both, and a second call finishes the work.

    Raises:
        OSError: the file cannot be written.
        StoreUnreachable: the object store does not take it.
        FileDamaged: the journal is damaged.
    """
    if not store.has(journal.stem) and not _is_compacted(store, journal.stem):
        _write(journal, store)
    journal.unlink()


def _is_compacted(store: Store, stem: str) -> bool:
    """Tell whether a compacted file holds the rows; today's never do, so nobody is asked."""
    return stem[:8] != datetime.now(UTC).strftime("%Y%m%d") and is_replaced(store, stem)


def _write(journal: Path, store: Store) -> None:
    """Write the journal's rows; a journal without rows makes no file."""
    tables = read_tables(journal)
    first = next(tables, None)
    if first is None:
        return
    with store.new_file(journal.stem) as file, pq.ParquetWriter(file, first.schema) as writer:
        for table in itertools.chain([first], tables):
            writer.write_table(table)
