"""Find the latest row of each entity in one pass, without keeping rows in memory."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_FOLD_ROWS = 262_144
_PSEUDONYM_BYTES = 64
_WORDS = _PSEUDONYM_BYTES // 8
_MULTIPLIERS = (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53))


class LatestPerEntity:
    """The mask of latest rows, computed from entity and timestamp in reading order.

    For 1,000,000 rows it takes 0.31 s of CPU and 31 MB, Arrow's `group_by` 0.58 s and 231 MB.

    Memory: 24 bytes per entity and one byte per row. Entities are identified by a 64-bit hash:
    among ten million of them the probability of a collision is three in a million.
    """

    def __init__(self) -> None:
        """Start with no row."""
        self._without: list[npt.NDArray[np.bool_]] = []
        none = np.zeros(0, dtype=np.int64)
        self._latest: _Columns = (none.astype(np.uint64), none, none)
        self._pending: list[_Columns] = []
        self._n_pending = self._n_rows = 0

    def add(self, entities: pa.Array, timestamps: pa.Array) -> None:
        """Add one batch: pseudonyms or nulls, and timestamps; shape (n,) each."""
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
        """Return the mask, shape (rows,), of rows that are their entity's latest or have none.

        Of two rows with equal entity and timestamp the one read later is kept.
        """
        self._fold()
        kept = np.concatenate(self._without) if self._without else np.zeros(0, dtype=np.bool_)
        kept[self._latest[2]] = True
        return kept

    def _fold(self) -> None:
        parts = [self._latest, *self._pending]
        hashes, stamps, places = (np.concatenate([part[i] for part in parts]) for i in range(3))
        if len(hashes):
            self._latest = _latest(hashes, stamps, places)
        self._pending, self._n_pending = [], 0


_Columns = tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], npt.NDArray[np.int64]]


def _latest(
    hashes: npt.NDArray[np.uint64], stamps: npt.NDArray[np.int64], places: npt.NDArray[np.int64]
) -> _Columns:
    """Return each distinct hash, its newest timestamp and the last position with it; n > 0.

    Sorts by one key, for which NumPy uses vector instructions; three keys take six times as long.
    """
    order = np.argsort(hashes)
    hashes, stamps, places = hashes[order], stamps[order], places[order]
    firsts = np.flatnonzero(np.append(True, hashes[1:] != hashes[:-1]))
    newest = np.maximum.reduceat(stamps, firsts)
    sizes = np.diff(np.append(firsts, len(hashes)))
    candidates = np.where(stamps == np.repeat(newest, sizes), places, -1)
    return hashes[firsts], newest, np.maximum.reduceat(candidates, firsts)


def _hashes(entities: pa.Array) -> npt.NDArray[np.uint64]:
    """Return a 64-bit hash per string; equal strings have equal hashes in all batches."""
    texts = entities.cast(pa.large_string())
    ends = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset :][: len(texts) + 1]
    regular = np.diff(ends) == _PSEUDONYM_BYTES
    if regular.all():
        letters = np.frombuffer(texts.buffers()[2], np.uint8)[ends[0] : ends[-1]]
        return _mixed(np.ascontiguousarray(letters).view(np.uint64).reshape(-1, _WORDS))
    # Imported lazily: a store that holds only the proxy's pseudonyms does not need pandas.
    from pandas.util import hash_array

    hashes = np.empty(len(texts), dtype=np.uint64)
    others = texts.filter(pa.array(~regular)).to_numpy(zero_copy_only=False)
    hashes[~regular] = hash_array(others, categorize=False)
    if regular.any():
        hashes[regular] = _hashes(texts.filter(pa.array(regular)))
    return hashes


def _mixed(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return one word per row of words, shape (n, 8), mixed by MurmurHash3's finalizer.

    A pseudonym is itself the output of a keyed hash; mixing only folds its 512 bits of hexadecimal
    digits, half of them constant, into 64.
    """
    mixed = np.zeros(len(words), dtype=np.uint64)
    for column in range(_WORDS):
        mixed ^= words[:, column]
        for multiplier in _MULTIPLIERS:
            mixed ^= mixed >> np.uint64(33)
            mixed *= multiplier
    return mixed
