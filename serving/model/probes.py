"""Probe rows on which a shortcut must agree with the method it replaces before it is used.

They hold likely values (random ones, ends of ranges, categories that an encoder was fitted on,
nulls) and unlikely ones: far out of range, unseen categories, unusual text. Values that an
estimator may reject are in small batches of their own, so that its error hides no other difference.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from core.contract.model import Feature

Batch = list[list[Any]]
Known = Mapping[int, Sequence[Any]]
"""Values that an encoder was fitted on, by the position of the feature."""

ROWS = 256
NULL_ROWS = 128
_FEW = 3
_DAYS = 9000
_MISSING_SHARE = 0.15
_MOST_CATEGORIES = 100
_ODD_TEXT = ("", " ", "nan", "None", "NaN", "0", "1.0", "ção ☃ 漢", "x" * 300, "\x00", "a,b;\n'\"")
_HUGE = (3.5e38, -1e300, 1e-300)
"""Values that single precision cannot hold."""


def usual(features: Sequence[Feature], known: Known) -> Batch:
    """Return rows without nulls that fit the contract, with categories known to the encoders."""
    rng = np.random.default_rng(0)
    columns = [_column(f, known.get(place, ()), rng) for place, f in enumerate(features)]
    return [list(row) for row in zip(*columns, strict=True)]


def with_nulls(rows: Batch, places: Collection[int]) -> Batch:
    """Return the rows with random nulls in some columns; the first row has all of them."""
    rng = np.random.default_rng(1)
    missing = rng.random((len(rows), len(rows[0]))) < _MISSING_SHARE
    missing[0] = True
    return [
        [None if place in places and gone[place] else v for place, v in enumerate(row)]
        for row, gone in zip(rows, missing, strict=True)
    ]


def odd(features: Sequence[Feature], rows: Batch) -> list[Batch]:
    """Return small batches, each with unusual values of one feature."""
    return [
        _replaced(rows, place, values)
        for place, feature in enumerate(features)
        for values in _odd_values(feature)
    ]


def one_null(rows: Batch, place: int) -> Batch:
    """Return a few rows whose only null is in one column."""
    return _replaced(rows, place, [None] * _FEW)


def _replaced(rows: Batch, place: int, values: Sequence[Any]) -> Batch:
    """Return one row per value, with the values in one column."""
    pairs = zip(rows, values, strict=False)
    return [[*row[:place], value, *row[place + 1 :]] for row, value in pairs]


def _column(feature: Feature, known: Sequence[Any], rng: np.random.Generator) -> list[Any]:
    """Return `ROWS` values of one feature."""
    if feature.type == "string":
        words = [str(word) for word in feature.values or known][:_MOST_CATEGORIES]
        words = words or list(_ODD_TEXT)
        return [words[pick] for pick in rng.integers(len(words), size=ROWS)]
    if feature.type == "boolean":
        return [bool(bit) for bit in rng.integers(2, size=ROWS)]
    if feature.type == "datetime":
        days = rng.integers(_DAYS, size=ROWS).tolist()
        return [datetime(2000, 1, 1) + timedelta(days=day) for day in days]
    low, high = limits(feature)
    free = rng.uniform(low, high, ROWS)
    # Data are often rounded, so that values equal the thresholds of trees.
    kinds = [free, np.round(free, 1), rng.normal(0, 3, ROWS), rng.choice([low, high], ROWS)]
    values = np.choose(rng.integers(len(kinds), size=ROWS), kinds)
    seen = [v for v in known if isinstance(v, int | float)]
    if seen:
        values = np.where(rng.random(ROWS) < 0.5, rng.choice(np.array(seen, float), ROWS), values)
    values = np.clip(values, low, high)
    return [round(v) for v in values.tolist()] if feature.type == "long" else values.tolist()


def _odd_values(feature: Feature) -> list[Sequence[Any]]:
    if feature.type == "string":
        return [] if feature.values else [_ODD_TEXT[:_FEW], _ODD_TEXT[_FEW:]]
    if feature.type in ("boolean", "datetime"):
        return []
    low, high = limits(feature)
    width = float(np.ceil(high - low)) + 1
    far = [low - width, high + width, high + 1000 * width]
    if feature.type == "long":
        return [[int(value) for value in far]]
    return [far, _HUGE] if feature.min is None and feature.max is None else [far]


def limits(feature: Feature) -> tuple[float, float]:
    """Return the feature's range; where the contract sets no bound, a wide one."""
    low, high = feature.min, feature.max
    if low is None:
        low = -1e4 if high is None else high - 1e4
    if high is None:
        high = low + 2e4
    if feature.type == "long":
        return float(np.ceil(low)), float(np.floor(high))
    return float(low), float(high)
