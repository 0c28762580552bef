"""Numeric transformers as plain arithmetic."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from serving.compiled.arrays import ArrayMethod, Compile, asked, numbers


def imputer(part: Any, _name: str, _: Compile) -> ArrayMethod:
    """Fill in the statistics; with an indicator, empty column or marker, use its own method."""
    statistics = np.asarray(part.statistics_)
    marker = part.missing_values
    is_nan = isinstance(marker, float) and np.isnan(marker)
    empty = any(value is None or value != value for value in statistics.tolist())
    if part.add_indicator or not is_nan or empty:
        return asked(part, "transform")
    if statistics.dtype == object:
        return _text_filler(statistics)
    if statistics.dtype.kind != "f":
        return asked(part, "transform")

    def fill(matrix: np.ndarray) -> np.ndarray:
        matrix = numbers(matrix)
        return np.where(np.isnan(matrix), statistics, matrix)

    return fill


def _text_filler(statistics: np.ndarray) -> ArrayMethod:
    fillings = statistics.tolist()

    def fill(matrix: np.ndarray) -> np.ndarray:
        rows = [
            [f if v is None or v != v else v for v, f in zip(row, fillings, strict=True)]
            for row in matrix.tolist()
        ]
        return np.array(rows, dtype=object)

    return fill


def largest(part: Any, _name: str, _: Compile) -> ArrayMethod:
    """Divide by the largest absolute value (MaxAbsScaler); one that clips uses its own method."""
    return asked(part, "transform") if getattr(part, "clip", False) else _shifted(None, part.scale_)


def _shifted(centre: np.ndarray | None, scale: np.ndarray | None) -> ArrayMethod:
    """Subtract a centre and divide by a scale, where there are any."""

    def shift(matrix: np.ndarray) -> np.ndarray:
        matrix = numbers(matrix)
        if centre is not None:
            matrix = matrix - centre
        return matrix if scale is None else matrix / scale

    return shift


def ranged(part: Any, _name: str, _: Compile) -> ArrayMethod:
    """Multiply by the scale, add the minimum, and clip if set (MinMaxScaler)."""
    scale, least = part.scale_, part.min_
    limits = part.feature_range if part.clip else None

    def shift(matrix: np.ndarray) -> np.ndarray:
        shifted = numbers(matrix) * scale + least
        return shifted if limits is None else np.clip(shifted, *limits)

    return shift


def function(part: Any, _name: str, _: Compile) -> ArrayMethod:
    """Call the function (FunctionTransformer); with `validate`, the transformer's own method."""
    if part.validate:
        return asked(part, "transform")
    if part.func is None:
        return same
    called = partial(part.func, **(part.kw_args or {}))
    return lambda matrix: np.asarray(called(numbers(matrix)))


def same(matrix: np.ndarray) -> np.ndarray:
    """Return the matrix unchanged."""
    return matrix


def bins(part: Any, _name: str, _: Compile) -> ArrayMethod:
    """Return the bin number of each value, or a column for each bin (KBinsDiscretizer)."""
    edges = [inner[1:-1] for inner in part.bin_edges_]
    counts = np.asarray(part.n_bins_)
    if part.encode == "ordinal":
        return lambda matrix: _places(matrix, edges)
    starts, width = np.concatenate([[0], np.cumsum(counts)[:-1]]), int(counts.sum())

    def one_hot(matrix: np.ndarray) -> np.ndarray:
        columns = _places(matrix, edges).astype(np.intp) + starts
        block = np.zeros((len(matrix), width))
        np.put_along_axis(block, columns, 1.0, axis=1)
        return block

    return one_hot


def _places(matrix: np.ndarray, edges: list[np.ndarray]) -> np.ndarray:
    matrix = numbers(matrix)
    found = np.empty(matrix.shape)
    for place, inner in enumerate(edges):
        found[:, place] = np.searchsorted(inner, matrix[:, place], side="right")
    return found


def polynomial(part: Any, _name: str, _: Compile) -> ArrayMethod:
    """Multiply the columns of each term, in the order of its powers (PolynomialFeatures)."""
    factors = [np.repeat(np.arange(len(powers)), powers) for powers in part.powers_]

    def terms(matrix: np.ndarray) -> np.ndarray:
        columns = numbers(matrix)
        found = np.ones((len(columns), len(factors)))
        for place, chosen in enumerate(factors):
            for column in chosen:
                found[:, place] *= columns[:, column]
        return found

    return terms


NUMERIC: dict[str, Callable[[Any, str, Compile], ArrayMethod]] = {
    "SimpleImputer": imputer,
    "StandardScaler": lambda part, _name, _: _shifted(
        part.mean_ if part.with_mean else None, part.scale_
    ),
    "RobustScaler": lambda part, _name, _: _shifted(part.center_, part.scale_),
    "MaxAbsScaler": largest,
    "MinMaxScaler": ranged,
    "FunctionTransformer": function,
    "KBinsDiscretizer": bins,
    "PolynomialFeatures": polynomial,
}
