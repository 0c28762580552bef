"""Merging a past day's small Parquet files into one per version.

Nobody who reads meanwhile sees a row twice or not at all: the merged file appears at once, by a
rename, and its footer names the files it replaces, which readers leave out from then on (see
`mlflow_project.contract.store`). The replaced files stay until a later run, for readers that listed
the folder before. Each step can be repeated after a crash.
"""

import fcntl
import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mlflow_project.contract.store import (
    CONSTANT_COLUMNS,
    PARQUET_SUFFIX,
    REPLACED_KEY,
    compacted_stem,
    replaced_stems,
)
from monitoring.errors import CaptureError, MonitoringError
from monitoring.store_files import list_store

KEEP_MINUTES = 60.0
"""How long replaced files stay: longer than any reader takes, in minutes."""

_LOCK = ".compact.lock"
_GROUP_ROWS = 131_072


class CompactionBusyError(MonitoringError):
    """Another compaction of the same store is running."""

    def __init__(self, store: Path) -> None:
        """Name the store."""
        super().__init__(f"Outra compactação de {store} está em andamento; repita depois.")


class CompactionError(MonitoringError):
    """The store cannot be changed."""

    def __init__(self, store: Path, reason: str) -> None:
        """Name the store and the system's reason."""
        super().__init__(
            f"Não foi possível compactar {store}: {reason}. Nenhuma inferência foi perdida; "
            "libere espaço ou permissão e repita."
        )


@dataclass(frozen=True, slots=True)
class Compaction:
    """What one run did, in files."""

    merged: int
    written: int
    removed: int


def compact(
    store: Path, keep_minutes: float = KEEP_MINUTES, today: datetime | None = None
) -> Compaction:
    """Merge what can be merged in the folder `store`, and remove what was replaced long ago.

    `today` (aware; default now) is the day, in UTC, that is left alone with all later ones.

    Raises:
        CompactionBusyError: another one is running here.
        CaptureError: a file is damaged.
        CompactionError: the folder cannot be written.
    """
    with _exclusive(store):
        try:
            removed = _remove_replaced(store, keep_minutes)
            merged = written = 0
            for group in _groups(store, today or datetime.now(UTC)):
                _merge(store, group)
                merged, written = merged + len(group), written + 1
        except OSError as exc:
            raise CompactionError(store, exc.strerror or type(exc).__name__) from exc
    return Compaction(merged, written, removed)


def _groups(store: Path, today: datetime) -> Iterator[list[Path]]:
    """Yield the live files that belong together and are more than one, in order of time."""
    found: dict[Any, list[Path]] = defaultdict(list)
    first_day = today.astimezone(UTC).strftime("%Y%m%d")
    for path in list_store(store).live:
        parts = path.stem.split("-")
        if len(parts) > 2 and parts[0][:8] < first_day:
            found[parts[0][:8], parts[1]].append(path)
    for day_and_version in found.values():
        # Two models may share a version number, and a model's columns may change.
        alike: dict[Any, list[Path]] = defaultdict(list)
        for path in day_and_version if len(day_and_version) > 1 else ():
            alike[_kind(path)].append(path)
        yield from (paths for paths in alike.values() if len(paths) > 1)


def _kind(path: Path) -> tuple[Any, ...]:
    """Return what files must share to become one: columns, and what is constant in them."""
    with _readable(path), pq.ParquetFile(path) as file:
        schema = tuple((field.name, str(field.type)) for field in file.schema_arrow)
        first = next(file.iter_batches(1, columns=list(CONSTANT_COLUMNS)), None)
        constants = tuple(first.to_pylist()[0].values()) if first is not None else ()
        return schema, constants


def _merge(store: Path, paths: Sequence[Path]) -> None:
    """Write one file with the rows of all, in order, under its final name at once."""
    stems: set[str] = set()
    for path in paths:
        # One that was compacted before still speaks for what it replaced.
        stems |= {path.stem, *replaced_stems(pq.read_metadata(path).metadata or {})}
    target = store / f"{compacted_stem([path.stem for path in paths])}{PARQUET_SUFFIX}"
    temporary = target.with_name(f".{target.name}.tmp")
    footer = {REPLACED_KEY: json.dumps(sorted(stems)).encode()}
    with temporary.open("wb") as file:
        schema = pq.read_schema(paths[0]).remove_metadata().with_metadata(footer)
        with pq.ParquetWriter(file, schema) as writer:
            for table in _tables(paths):
                writer.write_table(table.replace_schema_metadata(footer))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(target)
    _sync(store)


def _tables(paths: Sequence[Path]) -> Iterator[pa.Table]:
    """Yield the files' rows in groups of a good size."""
    batches = _batches(paths)
    while group := _take(batches, _GROUP_ROWS):
        yield pa.Table.from_batches(group)


def _batches(paths: Sequence[Path]) -> Iterator[pa.RecordBatch]:
    for path in paths:
        with _readable(path), pq.ParquetFile(path) as file:
            yield from file.iter_batches()


def _take(batches: Iterator[pa.RecordBatch], rows: int) -> list[pa.RecordBatch]:
    """Return the next batches until there are so many rows."""
    taken: list[pa.RecordBatch] = []
    for batch in batches:
        taken.append(batch.replace_schema_metadata(None))
        if sum(len(part) for part in taken) >= rows:
            break
    return taken


def _remove_replaced(store: Path, keep_minutes: float) -> int:
    """Remove files that were replaced so long ago that nobody can be reading them."""
    removed = 0
    for stem, by in list_store(store).replaced.items():
        path = store / f"{stem}{PARQUET_SUFFIX}"
        if path.exists() and time.time() - by.stat().st_mtime >= 60 * keep_minutes:
            path.unlink()
            removed += 1
    return removed


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn a damaged file into an error that names it.

    Raises:
        CaptureError: the file is no Parquet file.
    """
    try:
        yield
    except pa.ArrowException as exc:
        raise CaptureError(path, "Parquet inválido") from exc


@contextmanager
def _exclusive(store: Path) -> Iterator[None]:
    fd = os.open(store / _LOCK, os.O_RDWR | os.O_CREAT, 0o640)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise CompactionBusyError(store) from exc
        yield
    finally:
        os.close(fd)


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
