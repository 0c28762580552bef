"""Shared parts of compiled estimators: a method as a function of one array."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

ArrayMethod = Callable[[np.ndarray], np.ndarray]
"""A method of an estimator as a function of one matrix (n, k): numbers, or objects with text."""

Compile = Callable[[Any, str], ArrayMethod]
"""Compiler of an estimator's method, given its name, into a function of arrays."""


class ShortcutRefused(Exception):
    """There is no shortcut, or it differs from the method it would replace."""


class Undecided(Exception):
    """The compiled output might differ on these rows: fall back to the estimator's own method."""


def asked(estimator: Any, name: str) -> ArrayMethod:
    """Return the estimator's own method, on a copy without column names.

    With names, scikit-learn would warn at every call that the matrix has none.
    """
    method = getattr(_nameless(estimator), name)

    def ask(matrix: np.ndarray) -> np.ndarray:
        found = method(matrix)
        return found.toarray() if hasattr(found, "toarray") else np.asarray(found)

    return ask


def _nameless(part: Any) -> Any:
    """Return a copy without column names, inner estimators included; arrays are shared."""
    if isinstance(part, list | tuple) and type(part) in (list, tuple):
        return type(part)(_nameless(item) for item in part)
    if not hasattr(part, "get_params") or isinstance(part, type):
        return part
    bare = copy.copy(part)
    bare.__dict__.pop("feature_names_in_", None)
    for key, value in bare.__dict__.items():
        if hasattr(value, "get_params") or isinstance(value, list | tuple):
            bare.__dict__[key] = _nameless(value)
    return bare


def numbers(matrix: np.ndarray) -> np.ndarray:
    """Return a matrix of floats; null becomes NaN.

    Raises:
        ValueError: a value is text.
    """
    return matrix.astype(np.float64) if matrix.dtype == object else matrix


def both_classes(positive: np.ndarray) -> np.ndarray:
    """Return the probabilities (n, 2) of both classes, given the second one's (n,)."""
    both = np.empty((len(positive), 2), positive.dtype)
    np.subtract(1, positive, out=both[:, 0])
    both[:, 1] = positive
    return both


def flat(values: np.ndarray) -> np.ndarray:
    """Return values (n, 1) as (n,), any others as they are."""
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def finite(matrix: np.ndarray) -> np.ndarray:
    """Return the matrix as floats.

    Raises:
        Undecided: a value is missing or infinite, which most estimators reject.
    """
    matrix = numbers(matrix)
    if not np.isfinite(matrix).all():
        raise Undecided
    return matrix


def single_precision(matrix: np.ndarray, nullable: bool) -> np.ndarray:
    """Return the matrix as float32, the precision in which most trees compare.

    Raises:
        Undecided: a value overflows it, or is missing and not `nullable`.
    """
    with np.errstate(over="ignore"):
        rows = np.ascontiguousarray(numbers(matrix), np.float32)
    if np.isinf(rows).any() or (not nullable and np.isnan(rows).any()):
        raise Undecided
    return rows


CLEAR = 1e-9
"""Smallest margin between two classes that rounding cannot reverse."""


def labelled(
    classes: np.ndarray, decide: ArrayMethod, exact: ArrayMethod | None = None
) -> ArrayMethod:
    """Return `predict` of a classifier from its decision values or probabilities.

    Decision values (n,) are of the second of two classes; a matrix (n, c) has one for each class.
    Where two classes tie within rounding, `exact` decides, whose values equal the estimator's to
    the last bit; without it `predict` raises Undecided.
    """

    def predict(matrix: np.ndarray) -> np.ndarray:
        values = decide(matrix)
        if values.ndim == 1:
            clear, places = np.abs(values) > CLEAR, (values > 0).astype(np.intp)
        else:
            first, second = np.partition(values, -2, axis=1)[:, [-1, -2]].T
            clear, places = first - second > CLEAR, values.argmax(axis=1)
        if clear.all():
            return classes[places]
        if exact is None:
            raise Undecided
        values = exact(matrix)
        return classes[(values > 0).astype(np.intp) if values.ndim == 1 else values.argmax(axis=1)]

    return predict
