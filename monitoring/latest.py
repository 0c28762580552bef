"""Which rows are the latest of their entity, found in one pass that keeps no row."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_FOLD_ROWS = 262_144


class LatestPerEntity:
    """Sees entity and time of each row, in the order of reading, and says which rows to keep.

    Memory: 24 bytes per entity and one byte per row. Entities are told apart by 64 bits of a hash:
    among ten million of them two are confused with a chance of three in a million.
    """

    def __init__(self) -> None:
        """Start with no row."""
        self._without: list[npt.NDArray[np.bool_]] = []
        self._latest = _empty()
        self._pending: list[_Columns] = []
        self._n_pending = self._n_rows = 0

    def add(self, entities: pa.Array, timestamps: pa.Array) -> None:
        """See one batch: pseudonyms or nulls, and times; shape (n,) each."""
        known = entities.is_valid().to_numpy(zero_copy_only=False)
        self._without.append(~known)
        places = np.flatnonzero(known)
        if len(places):
            chosen = pa.array(places)
            stamps = timestamps.cast(pa.int64()).take(chosen).to_numpy(zero_copy_only=False)
            self._pending.append((_hashes(entities.take(chosen)), stamps, places + self._n_rows))
            self._n_pending += len(places)
        self._n_rows += len(known)
        if self._n_pending > max(_FOLD_ROWS, len(self._latest[0])):
            self._fold()

    def kept(self) -> npt.NDArray[np.bool_]:
        """Return per row, shape (rows,), whether it is its entity's latest or has no entity.

        Of two rows of one entity and time the one read later is kept.
        """
        self._fold()
        kept = np.concatenate(self._without) if self._without else np.zeros(0, dtype=np.bool_)
        kept[self._latest[2]] = True
        return kept

    def _fold(self) -> None:
        parts = [self._latest, *self._pending]
        hashes, stamps, places = (np.concatenate([part[i] for part in parts]) for i in range(3))
        order = np.lexsort((places, stamps, hashes))
        ordered = hashes[order]
        last = order[np.append(ordered[1:] != ordered[:-1], True)] if len(order) else order
        self._latest = (hashes[last], stamps[last], places[last])
        self._pending, self._n_pending = [], 0


_Columns = tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], npt.NDArray[np.int64]]


def _empty() -> _Columns:
    none = np.zeros(0, dtype=np.int64)
    return np.zeros(0, dtype=np.uint64), none, none


def _hashes(entities: pa.Array) -> npt.NDArray[np.uint64]:
    # Late: a store without entities has no use for pandas.
    from pandas.util import hash_array

    encoded = entities.dictionary_encode()
    distinct = hash_array(encoded.dictionary.to_numpy(zero_copy_only=False), categorize=False)
    hashes: npt.NDArray[np.uint64] = distinct[encoded.indices.to_numpy(zero_copy_only=False)]
    return hashes
