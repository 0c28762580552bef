"""Comparison of two methods on the same rows: values to 1e-12, labels exactly."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from serving.compiled.arrays import Undecided

TOLERANCE = 1e-12
"""Largest difference, absolute and relative, between a shortcut and the method it replaces."""

BATCH_ROWS = 128
_SINGLE_ROWS = 8

Rows = Sequence[Any] | np.ndarray
"""Rows as a list, or as a matrix (n, k): whichever both methods accept."""
Method = Callable[[Any], Any]
"""A method that computes an output for rows."""


def agree(plain: Method, shortcut: Method, rows: Rows) -> bool:
    """Return whether both agree on `rows`: as one batch, and many also in parts and singly.

    Where the plain method raises, the shortcut has to raise as well; elsewhere the shortcut may
    raise Undecided, which leaves a row to the plain method.
    """
    batches = [rows]
    if len(rows) > BATCH_ROWS:
        batches += [rows[at : at + BATCH_ROWS] for at in range(0, len(rows), BATCH_ROWS)]
        batches += [rows[place : place + 1] for place in range(_SINGLE_ROWS)]
    return all(_agree_on(plain, shortcut, batch) for batch in batches)


def _agree_on(plain: Method, shortcut: Method, batch: Rows) -> bool:
    """Compare one batch; row by row where the plain method raises or the shortcut is undecided."""
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
    """Return whether two outputs agree in shape, kind of dtype and values."""
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape or found.dtype.kind != expected.dtype.kind:
        return False
    if expected.dtype.kind not in "fc":
        return bool(np.array_equal(found, expected))
    return np.allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)


def raises(method: Method, batch: Rows) -> bool:
    """Return whether a method raises on a batch."""
    try:
        method(batch)
    except Exception:
        return True
    return False
