"""Encoders as lookup tables of the encoder's own output for each category.

One-hot, ordinal and target encoders treat each column separately. So the encoder is called once for
every fitted category, for null, and for an unseen value; a value on which it raises has no entry.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.compiled.arrays import ArrayMethod, Compile, ShortcutRefused, Undecided, asked

MOST_CELLS = 2_000_000
"""Largest lookup table of one column, in cells; above it there is no shortcut."""

_UNSEEN_TEXT = "\x00 a category that nobody has seen \x00"


@dataclass(frozen=True, slots=True)
class _Encoding:
    """Lookup table of one column: `values` (m, w), and each category's row in it; None is null."""

    rows: Mapping[Any, int]
    unseen: int | None
    values: np.ndarray

    def encode(self, column: Sequence[Any]) -> np.ndarray:
        """Return the encoded values (n, w) of one column.

        Raises:
            Undecided: the encoder raised on one of the values.
        """
        get, unseen = self.rows.get, self.unseen
        found = [get(value if value == value else None, unseen) for value in column]
        if None in found:
            raise Undecided
        return self.values[np.array(found, dtype=np.intp)]


def tabulated(encoder: Any, _name: str, _: Compile) -> ArrayMethod:
    """Return an encoder's `transform` as table lookups.

    Raises:
        ShortcutRefused: the tables would be too large.
    """
    plain = _asked_in_its_type(encoder)
    bases = [categories.tolist()[0] for categories in encoder.categories_]
    # Output blocks are concatenated in column order; one-hot encoders store each block's width.
    width = plain(np.array([bases], dtype=object)).shape[1]
    widths = getattr(encoder, "_n_features_outs", [width // len(bases)] * len(bases))
    if max(map(len, encoder.categories_)) * width > MOST_CELLS:
        raise ShortcutRefused
    ends = np.cumsum([0, *widths])
    tables = [
        _table(plain, bases, place, categories.tolist(), slice(*ends[place : place + 2]))
        for place, categories in enumerate(encoder.categories_)
    ]

    def method(matrix: np.ndarray) -> np.ndarray:
        columns = matrix.T.tolist()
        blocks = [table.encode(column) for table, column in zip(tables, columns, strict=True)]
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1)

    return method


def _table(
    plain: ArrayMethod, bases: list[Any], place: int, categories: list[Any], own: slice
) -> _Encoding:
    """Encode each value that one column can take, the others fixed at their first category."""

    def encoded(values: list[Any]) -> np.ndarray:
        rows = np.array([bases] * len(values), dtype=object)
        rows[:, place] = values
        return np.asarray(plain(rows)[:, own], dtype=np.float64)

    rows = {None if c is None or c != c else c: number for number, c in enumerate(categories)}
    blocks = [encoded([np.nan if c is None else c for c in categories])]
    numeric = [c for c in categories if isinstance(c, int | float) and c == c]
    unseen = 2 * max(map(abs, numeric), default=1) + 1 if numeric else _UNSEEN_TEXT
    for key in (None, unseen):
        if key not in rows:
            try:
                blocks.append(encoded([np.nan if key is None else key]))
            except ValueError:
                continue
            rows[key] = len(rows)
    return _Encoding(rows, rows.pop(unseen, None), np.concatenate(blocks))


def _asked_in_its_type(encoder: Any) -> ArrayMethod:
    """Return the encoder's own `transform`, on floats where it was fitted on numbers."""
    plain = asked(encoder, "transform")
    if any(categories.dtype == object for categories in encoder.categories_):
        return plain
    return lambda rows: plain(rows.astype(np.float64))
