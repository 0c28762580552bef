"""The live files of the inference store: a compacted file supersedes those that it replaces."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from core.messages import _
from core.store.errors import FileDamaged
from core.store.filesystem import Store, StoredFile, any_name
from core.store.schema import is_compacted, replaced_stems


@dataclass(frozen=True, slots=True)
class StoreFiles:
    """A snapshot of a store's Parquet files.

    Attributes:
        live: the files that hold each converted row once, in order of time.
        replaced: by stem, the compacted file that replaces it; rows of such a stem are ignored in
            any other file or journal.
        listed: every existing file by stem, replaced ones included.
    """

    live: tuple[PurePath, ...]
    replaced: dict[str, PurePath]
    listed: Mapping[str, StoredFile]

    def holds(self, stem: str) -> bool:
        """Return whether a live file has a stem's rows: its own or a compacted one."""
        return stem in self.listed or stem in self.replaced


def list_store(store: Store, wanted: Callable[[str], bool] = any_name) -> StoreFiles:
    """Return a snapshot of the store, limited to files whose names are `wanted`.

    A compacted file and those that it replaces must be wanted or unwanted together.

    Raises:
        FileDamaged: a compacted file's footer cannot be read; names it.
        StoreUnreachable: the bucket does not answer.
    """
    listed = {file.path.stem: file for file in store.files(wanted)}
    replaced = _replaced(store, listed.values())
    live = tuple(file.path for stem, file in listed.items() if stem not in replaced)
    return StoreFiles(live, replaced, listed)


def is_replaced(store: Store, stem: str) -> bool:
    """Return whether a compacted file, which has the same day, holds a stem's rows.

    Raises:
        FileDamaged: a compacted file's footer cannot be read; names it.
        StoreUnreachable: the bucket does not answer.
    """
    return stem in _replaced(store, store.files(lambda name: name[:8] == stem[:8]))


def _replaced(store: Store, files: Iterable[StoredFile]) -> dict[str, PurePath]:
    """Map replaced stems, those of compacted files included, to the live file with their rows."""
    spoken_for: dict[PurePath, frozenset[str]] = {}
    for path in (file.path for file in files if is_compacted(file.path.stem)):
        try:
            with store.parquet(path) as file:
                spoken_for[path] = replaced_stems(file.metadata.metadata or {})
        except FileNotFoundError:
            continue  # A later compaction has replaced and removed it.
        except (ValueError, TypeError) as exc:
            raise FileDamaged(path=path, reason=_("not a readable Parquet file")) from exc
    gone = frozenset().union(*spoken_for.values())
    # A file that replaces a compacted one also lists its stems; live files come last, to win.
    ordered = sorted(spoken_for, key=lambda path: path.stem not in gone)
    return {stem: path for path in ordered for stem in spoken_for[path]}
