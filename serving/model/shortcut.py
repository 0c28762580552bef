"""A shortcut replaces the plain path only after it gave the same results on probe rows."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from core.contract.model import Feature
from core.contract.types import FEATURE_TYPES
from serving.model.compiled import compile_method
from serving.model.trees import ArrayMethod, agree

Rows = Sequence[Sequence[Any]]

_RANDOM_ROWS = 256
_MISSING_SHARE = 0.15


def verified_shortcut(
    method: Callable[[Any], Any], features: Sequence[Feature], frame: Callable[[Rows], Any]
) -> ArrayMethod | None:
    """Return `method` as a function of a float64 matrix (n, k); None where that cannot be trusted.

    Args:
        method: an estimator's bound method, which takes what `frame` returns.
        features: the k features; text needs frames, so a model that takes it has no shortcut.
        frame: makes the typed frame of rows, as the plain path does.
    """
    estimator, name = getattr(method, "__self__", None), getattr(method, "__name__", "")
    if estimator is None or any(feature.type == "string" for feature in features):
        return None

    def plain(matrix: np.ndarray) -> np.ndarray:
        return np.asarray(method(frame(_rows(matrix, features))))

    within, beyond = _within(features), _beyond(features)
    try:
        shortcut = compile_method(estimator, name)
        if not agree(plain, shortcut, within):
            return None
    except Exception:  # whatever fails here, the plain path is right by definition
        return None
    return shortcut if _agree_or_raise(plain, shortcut, beyond) else None


def _agree_or_raise(plain: ArrayMethod, shortcut: ArrayMethod, rows: np.ndarray) -> bool:
    """Compare rows that no valid request holds; a model may refuse them."""
    try:
        plain(rows)
    except Exception:
        return True
    try:
        return agree(plain, shortcut, rows)
    except Exception:
        return False


def _within(features: Sequence[Feature]) -> np.ndarray:
    """Return rows (n, k) that the contract allows: random ones, range ends, missing values."""
    rng = np.random.default_rng(0)
    limits = [_limits(feature) for feature in features]
    low, high = (np.array(ends) for ends in zip(*limits, strict=True))
    free = rng.uniform(low, high, (_RANDOM_ROWS, len(features)))
    # Data are often rounded, and then values meet thresholds.
    rounded = np.clip(np.round(free, 1), low, high)
    small = np.clip(rng.normal(0, 3, free.shape), low, high)
    corners = np.where(rng.random((64, len(features))) < 0.5, low, high)
    rows = np.concatenate([free, rounded, small, corners, [low], [high]])
    for position, feature in enumerate(features):
        if feature.type != "double":
            rows[:, position] = np.clip(np.round(rows[:, position]), low[position], high[position])
    nullable = np.array([feature.nullable for feature in features])
    rows[(rng.random(rows.shape) < _MISSING_SHARE) & nullable] = np.nan
    emptied = np.where(nullable, np.nan, rows[:8])
    return np.concatenate([rows, emptied])


def _beyond(features: Sequence[Feature]) -> np.ndarray:
    """Return rows (n, k) below and above every range."""
    limits = [_limits(feature) for feature in features]
    low, high = (np.array(ends) for ends in zip(*limits, strict=True))
    width = np.ceil(high - low) + 1
    rows = np.stack([low - width, high + width, high + 1000 * width])
    boolean = np.array([feature.type == "boolean" for feature in features])
    return np.where(boolean, np.clip(rows, 0, 1), rows)


def _limits(feature: Feature) -> tuple[float, float]:
    """Return the range; where the contract is open, one that is wide enough to matter."""
    if feature.type == "boolean":
        return 0.0, 1.0
    low, high = feature.min, feature.max
    if low is None:
        low = -1e4 if high is None else high - 1e4
    if high is None:
        high = low + 2e4
    return (low, high) if feature.type == "double" else (float(np.ceil(low)), float(np.floor(high)))


def _rows(matrix: np.ndarray, features: Sequence[Feature]) -> list[list[Any]]:
    """Return the rows as a request would have given them."""
    kinds = [FEATURE_TYPES[feature.type].python for feature in features]
    return [
        [None if np.isnan(value) else kind(value) for value, kind in zip(row, kinds, strict=True)]
        for row in matrix.tolist()
    ]
