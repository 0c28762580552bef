"""Whether two ways to compute one output give the same: values to 1e-12, labels exactly."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

TOLERANCE = 1e-12
"""Largest difference, absolute and relative, between a shortcut and what it replaces."""

BATCH_ROWS = 128
_SINGLE_ROWS = 8

Rows = Sequence[Any] | np.ndarray
"""Rows as a list, or as a matrix (n, k): whatever both ways take."""


def agree(plain: Callable[[Any], Any], shortcut: Callable[[Any], Any], rows: Rows) -> bool:
    """Tell whether both give the same for `rows`: all at once, in small batches, and singly.

    Where the plain way raises, the shortcut has to raise as well.
    """
    starts = range(0, len(rows), BATCH_ROWS)
    batches = [rows, *(rows[start : start + BATCH_ROWS] for start in starts)]
    singles = [rows[place : place + 1] for place in range(min(_SINGLE_ROWS, len(rows)))]
    return all(_agree_on(plain, shortcut, batch) for batch in [*batches, *singles])


def _agree_on(plain: Callable[[Any], Any], shortcut: Callable[[Any], Any], batch: Rows) -> bool:
    """Compare one batch; one that the plain way refuses is compared row by row."""
    try:
        expected = np.asarray(plain(batch))
    except Exception:
        if len(batch) > 1:
            rows = [batch[place : place + 1] for place in range(len(batch))]
            return all(_agree_on(plain, shortcut, row) for row in rows)
        return _raises(shortcut, batch)
    try:
        found = shortcut(batch)
    except Exception:
        return False
    return equal(found, expected)


def equal(found: Any, expected: Any) -> bool:
    """Tell whether two outputs have one shape, one kind of value, and the same values."""
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape or found.dtype.kind != expected.dtype.kind:
        return False
    if expected.dtype.kind not in "fc":
        return bool(np.array_equal(found, expected))
    return np.allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)


def _raises(method: Callable[[Any], Any], batch: Rows) -> bool:
    try:
        method(batch)
    except Exception:
        return True
    return False
