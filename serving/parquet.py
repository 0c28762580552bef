"""Journals become Parquet files: idempotent, atomic, safe with several proxies in one folder."""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mlflow_project.contract.store import (
    JOURNAL_SUFFIX,
    PARQUET_SUFFIX,
    JournalHeader,
    read_journal,
)

_ARROW_TYPES = {
    "string": pa.string(),
    "long": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}


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
    """Write `store/<stem>.parquet` unless it is there, then remove the journal.

    A crash at any point leaves the journal, the file, or both, and a second call finishes the work.

    Raises:
        OSError: the file cannot be written.
        ValueError: the journal is damaged.
    """
    stem = journal.name.removesuffix(JOURNAL_SUFFIX)
    target = store / f"{stem}{PARQUET_SUFFIX}"
    if not target.exists():
        header, rows = read_journal(journal)
        if header is not None and rows:
            _write(to_table(header, rows), target)
    journal.unlink()


def to_table(header: JournalHeader, rows: Sequence[Sequence[Any]]) -> pa.Table:
    """Return the rows as the typed columns of a captured file, constants included."""
    values = dict(zip(header.columns, zip(*rows, strict=True), strict=True))
    arrays, fields = [], []
    for name, kind in header.schema().items():
        arrow = _ARROW_TYPES[kind]
        column = values[name] if name in values else [header.constants[name]] * len(rows)
        arrays.append(pa.array(column, arrow))
        fields.append(pa.field(name, arrow))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _write(table: pa.Table, target: Path) -> None:
    """Write under another name, make it durable, then rename."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.tmp")
    with temporary.open("wb") as file:
        pq.write_table(table, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


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
