"""Encoders as tables: what the encoder itself made of each category, found again by look-up.

One-hot, ordinal and target encoders treat each column by itself. So the encoder is asked once for
every category it knows, for null, and for a value that it cannot know; what raises has no entry.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.compiled.arrays import ArrayMethod, Compile, ShortcutRefused, Undecided, asked

MOST_CELLS = 2_000_000
"""Largest table of one column, in numbers; beyond it there is no shortcut."""

_UNSEEN_TEXT = "\x00 a category that nobody has seen \x00"


@dataclass(frozen=True, slots=True)
class _Encoding:
    """What one column becomes: `values` (m, w), and the row of each category, None for null."""

    rows: Mapping[Any, int]
    unseen: int | None
    values: np.ndarray

    def encode(self, column: Sequence[Any]) -> np.ndarray:
        """Return the blocks (n, w) of the values of one column.

        Raises:
            Undecided: the encoder raised on such a value.
        """
        get, unseen = self.rows.get, self.unseen
        found = [get(value if value == value else None, unseen) for value in column]
        if None in found:
            raise Undecided
        return self.values[np.array(found, dtype=np.intp)]


def tabulated(encoder: Any, _name: str, _: Compile) -> ArrayMethod:
    """Return an encoder's `transform` as look-ups in tables.

    Raises:
        ShortcutRefused: the tables would be too large.
    """
    plain = _asked_in_its_type(encoder)
    bases = [categories.tolist()[0] for categories in encoder.categories_]
    # What the columns become stands side by side, in order; one-hot encoders say how wide each is.
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
    """Ask for each value that one column can take, the others held at their first category."""

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
    """Return the encoder's own `transform`, of numbers where it was fitted on numbers."""
    plain = asked(encoder, "transform")
    if any(categories.dtype == object for categories in encoder.categories_):
        return plain
    return lambda rows: plain(rows.astype(np.float64))
