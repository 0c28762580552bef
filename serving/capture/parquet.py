"""Conversion of journals to Parquet: idempotent, atomic, safe with several proxies in a folder."""

import contextlib
import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from core.files.locks import owned
from core.journals.journal_arrow import journals_of, read_tables
from core.store.errors import FileDamaged, StoreUnreachable
from core.store.filesystem import Store
from core.store.listing import is_replaced
from core.store.quarantine import move_aside, put_aside


def collect(store: Store) -> Iterator[tuple[Path, Exception | None]]:
    """Convert every journal that no running process owns to a Parquet file of the same stem.

    Yields each journal with its error, or None. An unreadable one is moved to quarantine
    (`core.store.quarantine`), one that failed otherwise stays. An unreachable object store ends the
    round: every other journal would run into the same timeout.
    """
    for path in journals_of(store.journals):
        with owned(path) as mine:
            if not mine:
                continue
            wrong: Exception | None = None
            try:
                convert(path, store)
            except FileDamaged as exc:
                # Of a damaged compacted file it is not known whether it holds this journal's rows.
                if exc.facts["path"] == path:
                    _put_aside(store, path, exc)
                wrong = exc
            except (StoreUnreachable, OSError, pa.ArrowException) as exc:
                wrong = exc
            yield path, wrong
            if isinstance(wrong, StoreUnreachable):
                return


def convert(journal: Path, store: Store) -> None:
    """Write the stem's Parquet file unless its rows are in the store, then remove the journal.

    A crash at any point leaves the journal, the file, or both; a second call completes the work.

    Raises:
        OSError: the file cannot be written.
        StoreUnreachable: the object store does not accept it.
        FileDamaged: the journal, or a compacted file of its day, is damaged.
    """
    if not store.has(journal.stem) and not _is_compacted(store, journal.stem):
        _write(journal, store)
    journal.unlink()


def _put_aside(store: Store, journal: Path, damage: FileDamaged) -> None:
    """Move a journal that this process holds to quarantine; it stays where that fails."""
    found = put_aside(store, damage, move=False)
    with contextlib.suppress(OSError):
        move_aside(store, journal, found)


def _is_compacted(store: Store, stem: str) -> bool:
    """Return whether a compacted file holds the rows; today's never do, so none is read."""
    return stem[:8] != datetime.now(UTC).strftime("%Y%m%d") and is_replaced(store, stem)


def _write(journal: Path, store: Store) -> None:
    """Write the journal's rows; a journal without rows makes no file."""
    tables = read_tables(journal)
    first = next(tables, None)
    if first is None:
        return
    with store.new_parquet(journal.stem, first.schema) as writer:
        for table in itertools.chain([first], tables):
            writer.write_table(table)
