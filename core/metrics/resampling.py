"""Intervals of statistics of rows: the percentile bootstrap, and Wilson's for a share.

Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13; Wilson, Probable
Inference, the Law of Succession, and Statistical Inference (1927).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Statistic = Callable[[Floats], Floats]
"""Maps row weights, (B, n), to one number per resample, (B,); NaN where it is undefined on a
resample. Floats are summed by NumPy's `sum`, never by a matrix product, whose result depends on the
number of threads: equal rows must give equal numbers on every machine."""

RESAMPLES = 2000
LEVEL = 0.95
Z = 1.959963984540054
"""Normal quantile of a two-sided 95 % interval."""
_CELLS = 250_000
"""Weights that are drawn at once: 2 MB, which stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval; None where it is undefined (for example without positives)."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def to_dict(self) -> dict[str, float | None]:
        """Return plain data."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class Interval:
    """A statistic that is defined on the rows, and its 95 % percentile interval."""

    value: float
    low: float
    high: float


def ratio(part: Floats, whole: Floats) -> Floats:
    """Return part / whole, NaN where whole is zero."""
    quotient: Floats = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=quotient, where=whole > 0)
    return quotient


def difference(first: Statistic, second: Statistic) -> Statistic:
    """Return first minus second, on the same resamples, so that shared variation cancels."""
    return lambda weights: first(weights) - second(weights)


def values_of(statistics: Mapping[str, Statistic], rows: int) -> dict[str, float]:
    """Return statistics of the rows with unit weights; NaN where one is undefined."""
    once = np.ones((1, rows))
    return {name: float(statistic(once)[0]) for name, statistic in statistics.items()}


def resample(
    statistics: Mapping[str, Statistic], rows: int, resamples: int, seed: int
) -> dict[str, Floats]:
    """Return every statistic, (resamples,) each, on the same bootstrap resamples of rows."""
    rng = np.random.default_rng(seed)
    step, parts = max(1, _CELLS // rows), []
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = rng.integers(0, rows, (size, rows)) + rows * np.arange(size)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=size * rows).reshape(size, rows)
        counts = weights.astype(np.float64)
        parts.append({name: statistic(counts) for name, statistic in statistics.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in statistics}


def percentiles(samples: Floats, confidence: float) -> tuple[float | None, float | None]:
    """Return the percentile interval of the finite samples; (None, None) if there are none."""
    defined = samples[np.isfinite(samples)]
    if not len(defined):
        return None, None
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)


def estimate_of(value: float, samples: Floats, confidence: float) -> Estimate:
    """Return a number with the interval of its samples; empty where the number is undefined."""
    if not math.isfinite(value):
        return Estimate(None)
    return Estimate(value, *percentiles(samples, confidence))


def mean_of(values: Floats) -> Statistic:
    """Return the mean of the rows' values as a statistic."""
    return lambda weights: ratio((weights * values).sum(axis=1), weights.sum(axis=1))


def log_loss_of(given: Floats) -> Statistic:
    """Return the mean of −ln(probability of the outcome, at least 2⁻⁵²) as a statistic."""
    return mean_of(-np.log(np.clip(given, np.finfo(np.float64).eps, 1.0)))


def estimated(
    statistics: Mapping[str, Statistic], rows: int, resamples: int, seed: int, confidence: float
) -> tuple[dict[str, Estimate], dict[str, Floats]]:
    """Return statistics of the rows with their intervals, and the samples behind the intervals."""
    samples = resample(statistics, rows, resamples, seed)
    values = values_of(statistics, rows)
    return {n: estimate_of(values[n], samples[n], confidence) for n in values}, samples


def bootstrap(statistic: Statistic, rows: int, seed: int) -> Interval:
    """Return a statistic of the rows and its 95 % interval.

    Raises:
        ValueError: there is no row, or the statistic is undefined on the rows themselves.
    """
    found = bootstraps({"": statistic}, rows, seed)
    if not found:
        raise ValueError("the statistic is undefined on these rows")
    return found[""]


def bootstraps(statistics: Mapping[str, Statistic], rows: int, seed: int) -> dict[str, Interval]:
    """Return the statistics that the rows define, with 95 % intervals on the same resamples.

    Raises:
        ValueError: there is no row.
    """
    if rows < 1:
        raise ValueError("a bootstrap needs at least one row")
    return {
        name: Interval(each.value, each.low, each.high)
        for name, each in estimated(statistics, rows, RESAMPLES, seed, LEVEL)[0].items()
        if each.value is not None and each.low is not None and each.high is not None
    }


def wilson(hits: int, n: int) -> Estimate:
    """Return a share with its 95 % interval, which is valid for few rows and extreme shares.

    The bootstrap interval of three hits in three would have zero width.
    """
    if not n:
        return Estimate(None)
    share, spread = hits / n, Z**2 / n
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    return Estimate(share, max(0.0, middle - half), min(1.0, middle + half))
