"""Which files of the inference store count now: a compacted one stands for those it replaces."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from core.messages import _
from core.store.errors import FileDamaged
from core.store.filesystem import Store, StoredFile, any_name
from core.store.schema import is_compacted, replaced_stems


@dataclass(frozen=True, slots=True)
class StoreFiles:
    """One look at a store's Parquet files.

    Attributes:
        live: the files that hold each converted row once, in order of time.
        replaced: by stem, the compacted file that stands for it; no row of such a stem counts,
            wherever it is found.
        listed: every file that was there, by stem, those included that no longer count.
    """

    live: tuple[PurePath, ...]
    replaced: dict[str, PurePath]
    listed: Mapping[str, StoredFile]

    def holds(self, stem: str) -> bool:
        """Return whether a live file has a stem's rows: its own or a compacted one."""
        return stem in self.listed or stem in self.replaced


def list_store(store: Store, wanted: Callable[[str], bool] = any_name) -> StoreFiles:
    """Look at the store once, and at the files of the names that are `wanted` only.

    A compacted file and those that it replaces must be wanted or not together.

    Raises:
        FileDamaged: a compacted file's footer cannot be read; names it.
        StoreUnreachable: the bucket does not answer.
    """
    listed = {file.path.stem: file for file in store.files(wanted)}
    replaced = _replaced(store, listed.values())
    live = tuple(file.path for stem, file in listed.items() if stem not in replaced)
    return StoreFiles(live, replaced, listed)


def is_replaced(store: Store, stem: str) -> bool:
    """Return whether a compacted file holds a stem's rows; it bears the same day.

    Raises:
        FileDamaged: a compacted file's footer cannot be read; names it.
        StoreUnreachable: the bucket does not answer.
    """
    return stem in _replaced(store, store.files(lambda name: name[:8] == stem[:8]))


def _replaced(store: Store, files: Iterable[StoredFile]) -> dict[str, PurePath]:
    """Map replaced stems to the live file that speaks for them, which may be a compacted one's."""
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
    # A file that replaces a compacted one lists what that one listed, so live ones come last.
    ordered = sorted(spoken_for, key=lambda path: path.stem not in gone)
    return {stem: path for path in ordered for stem in spoken_for[path]}
