"""Unreadable files are moved to quarantine, so that one of them does not fail every job.

The process that finds one moves it to the folder `quarantine` of the store (a journal: of the
journals' folder), records the reason and the approximate number of missing rows in a file beside
it, and continues with the others. It stays there, reported by every job, until an operator has
repaired it and put it back, or deleted it.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path, PurePath
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from core.files.locks import owned
from core.files.whole import replacing
from core.store.errors import FileDamaged, StoreUnreachable
from core.store.filesystem import Store, any_name
from core.store.listing import StoreFiles, list_store
from core.store.quarantined import FOLDER, REASON_SUFFIX, Quarantined, read_record
from core.store.schema import JOURNAL_SUFFIX

_NEIGHBOURS = 8
"""Intact files from which the bytes per row are estimated, where a file's footer is unreadable."""


class Unreadable:
    """The unreadable files that one job skips; they are quarantined unless `only_look` is set."""

    def __init__(self, store: Store, *, only_look: bool = False) -> None:
        """Start with none."""
        self._store, self._only_look = store, only_look
        self._found: dict[str, Quarantined] = {}

    def __contains__(self, name: str) -> bool:
        """Return whether this job skips a file."""
        return name in self._found

    def __len__(self) -> int:
        """Return the number of files that this job found unreadable."""
        return len(self._found)

    def add(self, damage: FileDamaged) -> None:
        """Skip a damaged file, and quarantine it unless `only_look` is set."""
        found = put_aside(self._store, damage, move=not self._only_look)
        self._found[found.name] = found

    def files(self, wanted: Callable[[str], bool] = any_name) -> StoreFiles:
        """Return a snapshot of the store, without the skipped files.

        Raises:
            StoreUnreachable: the bucket does not answer.
        """
        while True:
            try:
                return list_store(self._store, lambda name: name not in self and wanted(name))
            except FileDamaged as damage:
                self.add(damage)

    def all(self) -> tuple[Quarantined, ...]:
        """Return unreadable files, found by this job or quarantined before, in order of time."""
        kept = {one.name: one for one in quarantined(self._store)}
        return tuple(one for _name, one in sorted({**self._found, **kept}.items()))


def put_aside(store: Store, damage: FileDamaged, *, move: bool = True) -> Quarantined:
    """Quarantine a damaged file; the result records whether it could be moved.

    A journal that a proxy is appending to stays, and is found again when it is converted.
    """
    path = PurePath(damage.facts["path"])
    found = Quarantined(path.name, damage.facts["reason"], _rows_about(store, path))
    if not move:
        return replace(found, moved=False)
    try:
        if path.suffix != JOURNAL_SUFFIX:
            move_aside(store, path, found)
            return found
        with owned(Path(path)) as mine:
            if mine:
                move_aside(store, path, found)
            return replace(found, moved=mine)
    except (OSError, StoreUnreachable):
        return replace(found, moved=False)


def move_aside(store: Store, path: PurePath, found: Quarantined) -> None:
    """Write a file's reason into the folder `quarantine` beside it, then move the file there.

    Raises:
        OSError: this process has no permission, or there is no space for the reason.
        StoreUnreachable: the bucket does not permit it.
    """
    target = path.parent / FOLDER / path.name
    record = f"{target}{REASON_SUFFIX}"
    if store.folder is not None or path.suffix == JOURNAL_SUFFIX:
        with replacing(Path(record)) as local:
            local.write_text(found.record(), encoding="utf-8")
        Path(path).rename(target)
        return
    with store.reaching():
        with store.filesystem.open_output_stream(record) as stream:
            stream.write(found.record().encode())
        store.filesystem.move(str(path), str(target))


def quarantined(store: Store) -> list[Quarantined]:
    """Return the files that are in quarantine, in order of time."""
    return sorted((found for _fs, _path, found in _kept(store)), key=lambda one: one.name)


def drop_quarantined(store: Store, before: datetime) -> int:
    """Delete quarantined files that began before a moment (aware); return how many."""
    old = [
        (filesystem, path)
        for filesystem, path, found in _kept(store)
        if found.moment is not None and found.moment < before
    ]
    for filesystem, path in old:
        filesystem.delete_file(path)
        filesystem.delete_file(f"{path}{REASON_SUFFIX}")
    return len(old)


def _kept(store: Store) -> Iterator[tuple[Any, str, Quarantined]]:
    """Yield each quarantined file: its file system, its path there, and its record."""
    places = [(pafs.LocalFileSystem(), str(store.journals / FOLDER))]
    with store.reaching():
        places.append((store.filesystem, store.path(FOLDER)))
        for filesystem, folder in places:
            selector = pafs.FileSelector(folder, allow_not_found=True)
            listed = {info.path for info in filesystem.get_file_info(selector)}
            for path in sorted(listed):
                record = f"{path}{REASON_SUFFIX}"
                if record in listed:
                    with filesystem.open_input_file(record) as file:
                        found = read_record(PurePath(path).name, file.readall())
                    yield filesystem, path, found


def _rows_about(store: Store, path: PurePath) -> int | None:
    """Return about how many rows a damaged file has: by its content, or by size and other files."""
    try:
        if path.suffix == JOURNAL_SUFFIX:
            return max(0, Path(path).read_bytes().count(b"\n") - 1)
        try:
            return int(pq.read_metadata(str(path), filesystem=store.filesystem).num_rows)
        except (OSError, pa.ArrowException):
            return _rows_by_size(store, path)
    except (OSError, pa.ArrowException):
        return None


def _rows_by_size(store: Store, path: PurePath) -> int | None:
    files = store.files()
    mine = sum(file.size for file in files if file.path == path)
    size = rows = 0
    for file in [file for file in files if file.path != path][:_NEIGHBOURS]:
        try:
            with store.parquet(file.path) as opened:
                size, rows = size + file.size, rows + opened.metadata.num_rows
        except FileDamaged:
            continue
    return round(rows * mine / size) if size else None
