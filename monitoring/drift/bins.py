"""Bins of one column, fitted on a reference and then used to count any later batch.

Bin order, last bin always the missing values:
  numeric      below the range │ quantile intervals │ above the range │ missing
  discrete     below │ one bin per value │ above │ unseen between │ missing
  boolean      false │ true │ missing
  categorical  one bin per category, by frequency │ rare ones │ unseen │ missing
  presence     present │ missing: the bins of dates, whose values advance without any drift
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from core.messages import N_
from monitoring.drift.errors import TableError

Kind = Literal["numeric", "discrete", "boolean", "categorical", "presence"]

QUANTILE_BINS = 10
MAX_DISCRETE_VALUES = 20
MIN_ROWS_PER_VALUE = 10
MAX_OWN_CATEGORIES = 50
MAX_CATEGORIES = 20_000
"""Up to this many, all categories are listed; beyond, only those with a bin of their own, and a new
category cannot be distinguished from a rare one."""


@dataclass(frozen=True, slots=True)
class Binning:
    """Bins of one column.

    `points` are the finite interval edges of a numeric column (the first is its minimum, the last
    its maximum; intervals are open to the left, the first one is closed), the ascending values of a
    discrete one, or the categories of a categorical one. No points: the reference has no values.

    The first `own` categories have a bin each; `singles` is the number of categories that occur
    once in the reference, None if not counted.
    """

    kind: Kind
    points: tuple[Any, ...] = ()
    own: int = MAX_OWN_CATEGORIES
    singles: int | None = None

    @property
    def n_own(self) -> int:
        """Return the number of bins of values that occur in the reference."""
        if self.kind == "numeric":
            return max(len(self.points) - 1, min(len(self.points), 1))
        if self.kind == "categorical":
            return min(len(self.points), self.own + 1)
        return len(self.points)

    @property
    def n_bins(self) -> int:
        """Return the number of bins, the missing one included."""
        return self.n_own + len(self.novel) + 1

    @property
    def ordered(self) -> slice | None:
        """Return the slice of bins in the order of the values; None where they have no order."""
        if self.kind in ("categorical", "presence"):
            return None
        return slice(0, self.n_own + (0 if self.kind == "boolean" else 2))

    @property
    def novel(self) -> list[int]:
        """Return the indexes of the bins of values that do not occur in the reference."""
        own = self.n_own
        return {
            "numeric": [0, own + 1],
            "discrete": [0, own + 1, own + 2],
            "boolean": [],
            "presence": [],
            "categorical": [own],
        }[self.kind]

    def novelty_margin(self, counts: npt.NDArray[np.int64]) -> int:
        """Return the `margin` of `stats.novelty_p_value` for the reference's own `counts`.

        One for each open end of the range, one for unlisted values, and one for each value that
        occurs once in the reference (Turing's estimate of the unseen mass).
        """
        if self.kind in ("numeric", "boolean", "presence") or not self.points:
            return 2 if self.kind == "numeric" and self.points else 1
        if self.kind == "discrete":
            return 2 + int((counts[1 : 1 + self.n_own] == 1).sum())
        if self.singles is not None:
            return 1 + self.singles
        rare = max(0, len(self.points) - self.own)
        return 1 + rare + int((counts[: self.n_own] == 1).sum())

    def expected_novel(self, n_expected: int, n_actual: int) -> int:
        """Return how many of `n_actual` rows may have categories unseen in `n_expected` rows.

        Good and Turing's estimate of the unseen mass, the share of rows whose category occurs once
        in the reference, plus two standard deviations of both samples.
        """
        if not n_expected or not self.singles:
            return 0
        share = self.singles / n_expected
        spread = n_actual * share * (1 - share) + n_actual**2 * share / n_expected
        return min(n_actual, int(n_actual * share + 2 * math.sqrt(spread)))

    def count(self, values: pa.Array) -> tuple[npt.NDArray[np.int64], float, int]:
        """Count one batch.

        Returns:
            Counts per bin, and the sum and number of the finite values (0, 0 for categories).

        Raises:
            TableError: the values are of another kind than the reference's.
        """
        if self.kind == "categorical":
            return self._count_categories(values), 0.0, 0
        if self.kind == "presence":
            missing = values.null_count
            return np.array([len(values) - missing, missing], dtype=np.int64), 0.0, 0
        doubles = _as_doubles(values)
        numbers = doubles.to_numpy(zero_copy_only=False)
        total, finite, missing = _sums(doubles, numbers)
        inside = self._count_numbers(numbers, len(numbers) - missing)
        return np.array([*inside, missing], dtype=np.int64), total, finite

    def over_probabilities(self) -> "Binning":
        """Return the bins with the outer intervals extended to 0 and 1, if all edges lie between.

        The range of probabilities is known beforehand. A fit on a few more rows gives slightly more
        extreme scores, so a score beyond the reference's is no novelty, unlike a feature's value.
        """
        if self.kind != "numeric" or len(self.points) < 3:
            return self
        if not 0 <= self.points[0] <= self.points[-1] <= 1:
            return self
        return Binning("numeric", (0.0, *self.points[1:-1], 1.0))

    def _count_numbers(self, numbers: npt.NDArray[np.float64], known: int) -> list[int]:
        """Return the counts of all bins but the missing one; `known` numbers are not NaN.

        The whole column is compared with each edge, and rows are not assigned to bins: for a few
        dozen edges that is several times faster than `searchsorted`.
        """
        if self.kind == "boolean":
            false = _number_of(numbers == 0)
            return [false, known - false]
        if not self.points:
            return [0, known] if self.kind == "numeric" else [0, 0, known]
        if self.kind == "discrete":
            below = _number_of(numbers < self.points[0])
            above = _number_of(numbers > self.points[-1])
            own = [_number_of(numbers == point) for point in self.points]
            return [below, *own, above, known - below - above - sum(own)]
        # The first interval is closed on both sides; that of a single point is the point itself.
        edges = self.points if len(self.points) > 1 else self.points * 2
        past = [_number_of(numbers > edge) for edge in edges[1:]]
        past = [known, _number_of(numbers >= edges[0]), *past, 0]
        return [more - less for more, less in itertools.pairwise(past)]

    def _count_categories(self, values: pa.Array) -> npt.NDArray[np.int64]:
        """Count categories, the listed but rare ones together, the unlisted ones together."""
        texts = _as_texts(values)
        listed = pa.array(self.points, pa.string())
        found = pc.index_in(texts, value_set=listed, skip_nulls=True)
        positions = pc.fill_null(found, len(listed)).to_numpy(zero_copy_only=False)
        bins = np.minimum(positions, self.own)
        bins = np.where(positions == len(listed), self.n_own, bins)
        counts = np.bincount(bins, minlength=self.n_bins).astype(np.int64)
        counts[self.n_own] -= texts.null_count
        counts[-1] += texts.null_count
        return counts


def fit_bins(values: pa.Array | pa.ChunkedArray) -> Binning:
    """Fit the bins of a reference column.

    Booleans and strings keep their kind; dates count as present or missing. Numbers are discrete
    when they take at most `MAX_DISCRETE_VALUES` values, each `MIN_ROWS_PER_VALUE` times on average;
    else they get `QUANTILE_BINS` intervals between quantiles that are values of the column (so ties
    never straddle an edge), fewer where quantiles coincide.

    Raises:
        TableError: the values are neither numbers nor booleans nor strings nor dates.
    """
    if pa.types.is_boolean(values.type):
        return Binning("boolean", (False, True))
    if pa.types.is_temporal(values.type):
        return Binning("presence", (True,))
    if not _is_number(values.type):
        return _fit_categories(_as_texts(values))
    numbers = _as_doubles(values).to_numpy(zero_copy_only=False)
    numbers = np.sort(numbers[np.isfinite(numbers)])
    distinct = np.unique(numbers)
    if 0 < len(distinct) <= min(MAX_DISCRETE_VALUES, len(numbers) // MIN_ROWS_PER_VALUE):
        return Binning("discrete", tuple(distinct.tolist()))
    if not len(numbers):
        return Binning("numeric")
    ranks = -(-np.arange(QUANTILE_BINS + 1) * len(numbers) // QUANTILE_BINS) - 1
    return Binning("numeric", tuple(np.unique(numbers[np.maximum(ranks, 0)]).tolist()))


def _is_number(kind: pa.DataType) -> bool:
    """Return whether an Arrow type holds numbers; a column of nothing but nulls counts as one."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind))


def _as_doubles(values: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    if not (_is_number(values.type) or pa.types.is_boolean(values.type)):
        raise TableError(N_("expected numbers, but the type is {type}"), type=values.type)
    return values.cast(pa.float64())


def _as_texts(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return strings, dictionary-encoded or not, as one string array."""
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
        raise TableError(N_("expected text, but the type is {type}"), type=values.type)
    texts = values.cast(pa.string())
    return texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts


def _number_of(mask: npt.NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(mask))


def _sums(doubles: pa.Array, numbers: npt.NDArray[np.float64]) -> tuple[float, int, int]:
    """Return the sum and the number of finite values, and the number of null or NaN ones."""
    total = pc.sum(doubles, min_count=0).as_py()
    if math.isfinite(total):
        # Arrow's sum skips nulls, so there is neither NaN nor an infinity among the others.
        return float(total), len(doubles) - doubles.null_count, doubles.null_count
    finite = numbers[np.isfinite(numbers)]
    return float(finite.sum()), len(finite), _number_of(numbers != numbers)


def _fit_categories(texts: pa.Array) -> Binning:
    """Return the bins of categories, most frequent first, ties by name.

    If not every category can have its own bin, one with few rows has none: which of many rare
    categories are the most frequent is chance, and differs in another sample.
    """
    counted: Sequence[dict[str, Any]] = pc.value_counts(texts.drop_null()).to_pylist()
    ranked = sorted(counted, key=lambda item: (-item["counts"], item["values"]))
    own = MAX_OWN_CATEGORIES
    if len(ranked) > own:
        own = sum(item["counts"] >= MIN_ROWS_PER_VALUE for item in ranked[:own])
    listed = tuple(item["values"] for item in ranked)
    if len(ranked) > MAX_CATEGORIES:
        return Binning("categorical", listed[:own], own)
    return Binning("categorical", listed, own, sum(item["counts"] == 1 for item in ranked))
