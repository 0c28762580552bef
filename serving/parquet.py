"""Journals become Parquet files: idempotent, atomic, safe with several proxies in one folder."""

import contextlib
import fcntl
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mlflow_project.contract.store import (
    COMPACTED,
    JOURNAL_SUFFIX,
    PARQUET_SUFFIX,
    replaced_stems,
)
from serving.durable import sync_folder
from serving.journal_tables import read_tables


def collect(journals: Path, store: Path) -> Iterator[tuple[Path, Exception | None]]:
    """Turn every journal without a living owner into a Parquet file of the same stem.

    Yields each journal that was taken, with what went wrong; such a journal stays where it is.
    """
    for path in sorted(journals.glob(f"*{JOURNAL_SUFFIX}")):
        with _owned(path) as mine:
            if not mine:
                continue
            try:
                convert(path, store)
            except (OSError, ValueError, pa.ArrowException) as exc:
                yield path, exc
            else:
                yield path, None


def convert(journal: Path, store: Path) -> None:
    """Write `store/<stem>.parquet` unless its rows are in the store, then remove the journal.

    A crash at any point leaves the journal, the file, or both, and a second call finishes the work.

    Raises:
        OSError: the file cannot be written.
        ValueError: the journal is damaged.
    """
    stem = journal.name.removesuffix(JOURNAL_SUFFIX)
    target = store / f"{stem}{PARQUET_SUFFIX}"
    if not target.exists() and stem not in _compacted(store, stem):
        _write(journal, target)
    journal.unlink()


def _compacted(store: Path, stem: str) -> frozenset[str]:
    """Return the stems that compacted files of the same day have replaced."""
    files = store.glob(f"{stem[:8]}*-{COMPACTED}-*{PARQUET_SUFFIX}")
    footers = [pq.read_metadata(path).metadata or {} for path in files]
    return frozenset().union(*(replaced_stems(footer) for footer in footers))


def _write(journal: Path, target: Path) -> None:
    """Write under another name, make it durable, then rename; a journal without rows makes none."""
    tables = read_tables(journal)
    first = next(tables, None)
    if first is None:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.tmp")
    with temporary.open("wb") as file:
        with pq.ParquetWriter(file, first.schema) as writer:
            for table in itertools.chain([first], tables):
                writer.write_table(table)
        file.flush()
        os.fsync(file.fileno())
    # What Arrow keeps for next time would count as this worker's memory until then.
    pa.default_memory_pool().release_unused()
    temporary.replace(target)
    sync_folder(target.parent)


@contextlib.contextmanager
def _owned(path: Path) -> Iterator[bool]:
    """Hold the journal's lock; False when a living owner has it or it is gone."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        yield _locked(fd) and is_linked(path, fd)
    finally:
        os.close(fd)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def is_linked(path: Path, fd: int) -> bool:
    """Tell whether the open file is still the one at `path`."""
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False
