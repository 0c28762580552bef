"""Whether two ways to compute one output give the same: values to 1e-12, labels exactly."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from serving.compiled.arrays import Undecided

TOLERANCE = 1e-12
"""Largest difference, absolute and relative, between a shortcut and what it replaces."""

BATCH_ROWS = 128
_SINGLE_ROWS = 8

Rows = Sequence[Any] | np.ndarray
"""Rows as a list, or as a matrix (n, k): whatever both ways take."""
Method = Callable[[Any], Any]
"""A way to compute an output for rows."""


def agree(plain: Method, shortcut: Method, rows: Rows) -> bool:
    """Tell whether both give the same for `rows`: at once, and many also in parts and singly.

    Where the plain way raises, the shortcut has to raise as well; where it does not, the shortcut
    may say that a row is undecided, which leaves it to the plain way.
    """
    batches = [rows]
    if len(rows) > BATCH_ROWS:
        batches += [rows[at : at + BATCH_ROWS] for at in range(0, len(rows), BATCH_ROWS)]
        batches += [rows[place : place + 1] for place in range(_SINGLE_ROWS)]
    return all(_agree_on(plain, shortcut, batch) for batch in batches)


def _agree_on(plain: Method, shortcut: Method, batch: Rows) -> bool:
    """Compare one batch; one that either way refuses as a whole is compared row by row."""
    try:
        expected = np.asarray(plain(batch))
    except Exception:
        return _each(plain, shortcut, batch) if len(batch) > 1 else raises(shortcut, batch)
    try:
        found = shortcut(batch)
    except Undecided:
        return len(batch) == 1 or _each(plain, shortcut, batch)
    except Exception:
        return False
    return equal(found, expected)


def _each(plain: Method, shortcut: Method, batch: Rows) -> bool:
    rows = [batch[place : place + 1] for place in range(len(batch))]
    return all(_agree_on(plain, shortcut, row) for row in rows)


def equal(found: Any, expected: Any) -> bool:
    """Tell whether two outputs have one shape, one kind of value, and the same values."""
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape or found.dtype.kind != expected.dtype.kind:
        return False
    if expected.dtype.kind not in "fc":
        return bool(np.array_equal(found, expected))
    return np.allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)


def raises(method: Method, batch: Rows) -> bool:
    """Tell whether a method refuses a batch."""
    try:
        method(batch)
    except Exception:
        return True
    return False
