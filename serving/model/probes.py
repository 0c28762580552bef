"""Rows on which a shortcut must agree with what it replaces before it is used.

They hold what the contract allows (random values, ends of ranges, categories that an encoder knows,
nulls) and what it does not rule out: values far outside, unseen categories, odd text.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.contract.model import Feature

ROWS = 256
_MISSING_SHARE = 0.15
_UNSEEN_SHARE = 0.1
_MOST_CATEGORIES = 100
_ODD_TEXT = ("", " ", "nan", "None", "NaN", "0", "1.0", "ção ☃ 漢", "x" * 300, "\x00", "a,b;\n'\"")
_HUGE = (3.5e38, -1e300, 1e-300)
"""Values that single precision cannot hold."""


def within(features: Sequence[Feature], known: Mapping[int, Sequence[Any]]) -> list[list[Any]]:
    """Return rows that requests may well hold.

    Args:
        features: the k features.
        known: by a feature's position, values that an encoder of it has seen.
    """
    rng = np.random.default_rng(0)
    columns = [_column(f, known.get(place, ()), rng) for place, f in enumerate(features)]
    rows = [list(row) for row in zip(*columns, strict=True)]
    for row in rows:
        for place, feature in enumerate(features):
            if feature.nullable and rng.random() < _MISSING_SHARE:
                row[place] = None
    emptied = [None if f.nullable else v for f, v in zip(features, rows[0], strict=True)]
    return [*rows, emptied]


def beyond(features: Sequence[Feature], known: Mapping[int, Sequence[Any]]) -> list[list[Any]]:
    """Return rows that lie outside of what was seen: far values, text that nobody knows."""
    rng = np.random.default_rng(1)
    base = within(features, known)
    rows = []
    for place, feature in enumerate(features):
        for value in _odd_values(feature):
            row = list(base[rng.integers(len(base))])
            row[place] = value
            rows.append(row)
    for pick in range(3):
        rows.append([_odd_values(f)[min(pick, len(_odd_values(f)) - 1)] for f in features])
    return rows


def _column(feature: Feature, known: Sequence[Any], rng: np.random.Generator) -> list[Any]:
    """Return `ROWS` values and two more of one feature."""
    if feature.type == "string":
        words = [*(feature.values or known)][:_MOST_CATEGORIES] or list(_ODD_TEXT)
        return [words[i] for i in rng.integers(len(words), size=ROWS)] + words[:1] * 2
    if feature.type == "boolean":
        return [bool(bit) for bit in rng.integers(2, size=ROWS + 2)]
    low, high = limits(feature)
    free = rng.uniform(low, high, ROWS)
    # Data are often rounded, and then values meet thresholds.
    rounded = np.clip(np.round(free, 1), low, high)
    small = np.clip(rng.normal(0, 3, ROWS), low, high)
    kind = rng.integers(4, size=ROWS)
    values = np.choose(kind, [free, rounded, small, np.where(free < (low + high) / 2, low, high)])
    seen = [v for v in known if isinstance(v, int | float) and low <= v <= high]
    mixed = [
        float(seen[rng.integers(len(seen))]) if seen and rng.random() < 0.5 else float(value)
        for value in values
    ]
    return [_typed(feature, value) for value in [*mixed, low, high]]


def _typed(feature: Feature, value: float) -> Any:
    if feature.type != "long":
        return value
    low, high = limits(feature)
    return int(min(max(round(value), low), high))


def _odd_values(feature: Feature) -> list[Any]:
    if feature.type == "string":
        return [] if feature.values else list(_ODD_TEXT)
    if feature.type == "boolean":
        return [False, True]
    low, high = limits(feature)
    width = float(np.ceil(high - low)) + 1
    far = [low - width, high + width, high + 1000 * width]
    if feature.type == "long":
        return [int(value) for value in far]
    return [*far, *(_HUGE if feature.min is None and feature.max is None else ())]


def limits(feature: Feature) -> tuple[float, float]:
    """Return the range; where the contract is open, one that is wide enough to matter."""
    low, high = feature.min, feature.max
    if low is None:
        low = -1e4 if high is None else high - 1e4
    if high is None:
        high = low + 2e4
    if feature.type == "long":
        return float(np.ceil(low)), float(np.floor(high))
    return float(low), float(high)
