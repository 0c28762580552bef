"""Merging a past day's small Parquet files into one per version.

Nobody who reads meanwhile sees a row twice or not at all: the merged file appears at once (in a
folder by a rename, in a bucket when its upload ends), and its footer names the files it replaces,
which readers leave out from then on (see `core.store.schema`). The replaced files stay
until a later run, for readers that listed the store before. Each step can be repeated after a
crash.
"""

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

import pyarrow as pa

from core.store.errors import FileDamaged, StoreUnwritable
from core.store.filesystem import Store
from core.store.job_lock import exclusive
from core.store.quarantine import Unreadable
from core.store.quarantined import Quarantined
from core.store.schema import CONSTANT_COLUMNS, REPLACED_KEY, compacted_stem, replaced_stems

KEEP_MINUTES = 60.0
"""How long replaced files stay: longer than any reader takes, in minutes."""

_GROUP_ROWS = 131_072


@dataclass(frozen=True, slots=True)
class Compaction:
    """What one run did, in files; and what it could not read."""

    merged: int
    written: int
    removed: int
    quarantined: tuple[Quarantined, ...] = ()


def compact(
    store: Store | Path, keep_minutes: float = KEEP_MINUTES, today: datetime | None = None
) -> Compaction:
    """Merge what can be merged in a store, and remove what was replaced long ago.

    `today` (aware; default now) is the day, in UTC, that is left alone with all later ones. What
    cannot be read is put aside, and the others are merged.

    Raises:
        StoreBusy: another job is changing the store.
        StoreUnreachable: the bucket does not answer.
        StoreUnwritable: the folder cannot be written.
    """
    store = Store.at(store)
    left_out = Unreadable(store)
    merged = written = 0
    try:
        with exclusive(store):
            removed = _remove_replaced(store, keep_minutes, left_out)
            for group in _groups(store, today or datetime.now(UTC), left_out):
                done = _merge_sound(store, group, left_out)
                merged, written = merged + done, written + bool(done)
    except OSError as exc:
        raise StoreUnwritable(store=store, reason=exc.strerror or type(exc).__name__) from exc
    return Compaction(merged, written, removed, left_out.all())


def _groups(store: Store, today: datetime, left_out: Unreadable) -> Iterator[list[PurePath]]:
    """Yield the live files that belong together and are more than one, in order of time."""
    found: dict[Any, list[PurePath]] = defaultdict(list)
    first_day = today.astimezone(UTC).strftime("%Y%m%d")
    for path in left_out.files().live:
        parts = path.stem.split("-")
        if len(parts) > 2 and parts[0][:8] < first_day:
            found[parts[0][:8], parts[1]].append(path)
    for day_and_version in found.values():
        # Two models may share a version number, and a model's columns may change.
        alike: dict[Any, list[PurePath]] = defaultdict(list)
        for path in day_and_version if len(day_and_version) > 1 else ():
            try:
                alike[_kind(store, path)].append(path)
            except FileDamaged as damage:
                left_out.add(damage)
        yield from (paths for paths in alike.values() if len(paths) > 1)


def _kind(store: Store, path: PurePath) -> tuple[Any, ...]:
    """Return what files must share to become one: columns, and what is constant in them."""
    with store.parquet(path) as file:
        schema = tuple((field.name, str(field.type)) for field in file.schema_arrow)
        first = next(file.iter_batches(1, columns=list(CONSTANT_COLUMNS)), None)
        constants = tuple(first.to_pylist()[0].values()) if first is not None else ()
    return schema, constants


def _merge_sound(store: Store, paths: list[PurePath], left_out: Unreadable) -> int:
    """Merge those of a group that can be read; return how many, 0 where that is one or none."""
    while len(paths) > 1:
        try:
            _merge(store, paths)
        except FileDamaged as damage:
            left_out.add(damage)
            paths = [path for path in paths if path.name not in left_out]
        else:
            return len(paths)
    return 0


def _merge(store: Store, paths: Sequence[PurePath]) -> None:
    """Write one file with the rows of all, in order, under its final name at once."""
    stems: set[str] = set()
    for path in paths:
        # One that was compacted before still speaks for what it replaced.
        with store.parquet(path) as file:
            stems |= {path.stem, *replaced_stems(file.metadata.metadata or {})}
    footer = {REPLACED_KEY: json.dumps(sorted(stems)).encode()}
    with store.parquet(paths[0]) as file:
        schema = file.schema_arrow.remove_metadata().with_metadata(footer)
    with store.new_parquet(compacted_stem([path.stem for path in paths]), schema) as writer:
        for table in _tables(store, paths):
            writer.write_table(table.replace_schema_metadata(footer))


def _tables(store: Store, paths: Sequence[PurePath]) -> Iterator[pa.Table]:
    """Yield the files' rows in groups of a good size."""
    batches = _batches(store, paths)
    while group := _take(batches, _GROUP_ROWS):
        yield pa.Table.from_batches(group)


def _batches(store: Store, paths: Sequence[PurePath]) -> Iterator[pa.RecordBatch]:
    for path in paths:
        with store.parquet(path) as file:
            yield from file.iter_batches()


def _take(batches: Iterator[pa.RecordBatch], rows: int) -> list[pa.RecordBatch]:
    """Return the next batches until there are so many rows."""
    taken: list[pa.RecordBatch] = []
    for batch in batches:
        taken.append(batch.replace_schema_metadata(None))
        if sum(len(part) for part in taken) >= rows:
            break
    return taken


def _remove_replaced(store: Store, keep_minutes: float, left_out: Unreadable) -> int:
    """Remove files that were replaced so long ago that nobody can be reading them.

    What replaced them is read once more before: if it cannot be, it is put aside, and they count
    again.
    """
    files = left_out.files()
    due: dict[PurePath, list[PurePath]] = defaultdict(list)
    for stem, by in files.replaced.items():
        age = time.time() - files.listed[by.stem].modified
        if stem in files.listed and age >= 60 * keep_minutes:
            due[by].append(files.listed[stem].path)
    removed = 0
    for by, paths in due.items():
        problem = store.damage(by)
        if problem is not None:
            left_out.add(FileDamaged(path=by, reason=problem))
            continue
        for path in paths:
            store.delete(path)
        removed += len(paths)
    return removed
