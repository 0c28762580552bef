"""Files that cannot be read are put aside, so that one bad file is one bad file.

Whatever meets one moves it to the folder `quarantine` of the store (a journal: of the journals'
folder), with its reason and about how many rows are missing in a file beside it, and goes on with
all the others. It stays there, and every job says so, until a person has repaired it and put it
back, or deleted it.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePath
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from core.files.locks import owned
from core.files.whole import make_folder
from core.messages import N_, _, ngettext
from core.store.errors import FileDamaged
from core.store.filesystem import Store
from core.store.listing import StoreFiles, any_name, list_store
from core.store.schema import JOURNAL_SUFFIX, moment_of

EXIT_QUARANTINED = 4
"""Exit code of a job that is done but for files that cannot be read."""

FOLDER = "quarantine"
REASON_SUFFIX = ".reason.json"
_NEIGHBOURS = 8
"""Sound files that tell how long a row is, where a file's own footer does not tell its rows."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A file that was put aside.

    Attributes:
        name: the file's name.
        reason: what is wrong with it, for people.
        rows: about how many rows are in it; None where nothing tells.
        moved: whether it could be moved; one that could not is left out of the job all the same.
    """

    name: str
    reason: str
    rows: int | None
    moved: bool = True

    @property
    def moment(self) -> datetime | None:
        """Return when its first row was answered, by its name; None where that does not tell."""
        return moment_of(self.name)

    def __str__(self) -> str:
        """Return in a sentence what a person should know."""
        facts = {"name": self.name, "reason": self.reason}
        if self.rows is None:
            return _(
                "{name} cannot be read ({reason}) and was left out; how many rows are missing is "
                "not known.",
                **facts,
            )
        return ngettext(
            "{name} cannot be read ({reason}) and was left out: about {n} row is missing.",
            "{name} cannot be read ({reason}) and was left out: about {n} rows are missing.",
            self.rows,
            **facts,
        )


class LeftOut:
    """What one job leaves out: the files that it cannot read, put aside unless it only looks."""

    def __init__(self, store: Store, *, only_look: bool = False) -> None:
        """Start with none."""
        self._store, self._only_look = store, only_look
        self._found: dict[str, Quarantined] = {}

    def __contains__(self, name: str) -> bool:
        """Tell whether this job leaves out a file."""
        return name in self._found

    def __len__(self) -> int:
        """Return how many files this job has found that it cannot read."""
        return len(self._found)

    def add(self, damage: FileDamaged) -> None:
        """Leave out a file."""
        found = put_aside(self._store, damage, move=not self._only_look)
        self._found[found.name] = found

    def files(self, wanted: Callable[[str], bool] = any_name) -> StoreFiles:
        """Look at the store once, without what is left out.

        Raises:
            StoreUnreachable: the bucket does not answer.
        """
        while True:
            try:
                return list_store(self._store, lambda name: name not in self and wanted(name))
            except FileDamaged as damage:
                self.add(damage)

    def all(self) -> tuple[Quarantined, ...]:
        """Return what cannot be read, found by this job or put aside before, in order of time."""
        kept = {one.name: one for one in quarantined(self._store)}
        return tuple(one for _name, one in sorted({**self._found, **kept}.items()))


def put_aside(store: Store, damage: FileDamaged, *, move: bool = True) -> Quarantined:
    """Move a damaged file out of the store's way; the result says whether it could be moved.

    A journal that a proxy is appending to stays: the conversion that follows meets it again.
    """
    path = PurePath(damage.facts["path"])
    found = Quarantined(path.name, damage.facts["reason"], _rows_about(store, path))
    try:
        if not move:
            moved = False
        elif path.suffix == JOURNAL_SUFFIX:
            moved = _move_journal(Path(path), found)
        else:
            with store.reaching():
                _move(store.filesystem, path, found)
            moved = True
    except OSError:
        moved = False
    return replace(found, moved=moved)


def quarantined(store: Store) -> list[Quarantined]:
    """Return what was put aside and is still there, in order of time."""
    return sorted((found for _fs, _path, found in _kept(store)), key=lambda one: one.name)


def told(files: Iterable[Quarantined]) -> list[str]:
    """Return for people a line for each file that cannot be read, and what to do with them."""
    lines = [str(one) for one in files]
    advice = N_(
        "What was put aside is in the folder quarantine: repair it and put it back, or delete it."
    )
    return [*lines, _(advice)] if lines else []


def drop_quarantined(store: Store, before: datetime) -> int:
    """Delete what was put aside and began before a moment (aware); return how many files."""
    old = [
        (filesystem, path)
        for filesystem, path, found in _kept(store)
        if found.moment is not None and found.moment < before
    ]
    for filesystem, path in old:
        filesystem.delete_file(path)
        filesystem.delete_file(f"{path}{REASON_SUFFIX}")
    return len(old)


def _move_journal(path: Path, found: Quarantined) -> bool:
    with owned(path) as mine:
        if mine:
            _move(pafs.LocalFileSystem(), path, found)
    return mine


def _move(filesystem: Any, path: PurePath, found: Quarantined) -> None:
    folder = path.parent / FOLDER
    if isinstance(filesystem, pafs.LocalFileSystem):
        make_folder(Path(folder))
    record = json.dumps({"reason": found.reason, "rows": found.rows}, ensure_ascii=False)
    with filesystem.open_output_stream(f"{folder / path.name}{REASON_SUFFIX}") as file:
        file.write(record.encode())
    filesystem.move(str(path), str(folder / path.name))


def _kept(store: Store) -> Iterator[tuple[Any, str, Quarantined]]:
    """Yield what was put aside: its file system, its path there, and what is known of it."""
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
                        facts = json.loads(file.readall())
                    yield filesystem, path, Quarantined(PurePath(path).name, **facts)


def _rows_about(store: Store, path: PurePath) -> int | None:
    """Return how many rows a damaged file holds: by itself, or by its size and its neighbours'."""
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
