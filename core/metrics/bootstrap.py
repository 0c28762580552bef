"""Bootstrap intervals of statistics of rows; paired where the statistic is a difference."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Statistic = Callable[[np.ndarray], np.ndarray]
"""Takes how often each row counts, (B, n), and returns one number per resample, (B,); NaN where a
resample has no row that the statistic speaks of."""

RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A statistic of the rows, and the percentile interval (95 %) of its bootstrap distribution."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return it as people read a difference: signed, with its interval."""
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def bootstrap(statistic: Statistic, rows: int, seed: int) -> Interval:
    """Return the statistic of all rows and its interval over resamples of the rows.

    Both models of a paired statistic see the same resample, so what they share cancels. Percentile
    interval: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.

    Raises:
        ValueError: there is no row, or the statistic is undefined on the rows themselves.
    """
    if rows < 1:
        raise ValueError("a bootstrap needs at least one row")
    value = float(statistic(np.ones((1, rows)))[0])
    if not np.isfinite(value):
        raise ValueError("the statistic is undefined on these rows")
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(rows, np.full(rows, 1.0 / rows), size=RESAMPLES)
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(statistic(weights), [tail, 1 - tail])
    return Interval(value, float(low), float(high))


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return part / whole, NaN where whole is zero."""
    quotient: np.ndarray = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=quotient, where=whole > 0)
    return quotient


def recall_of(target: np.ndarray, flagged: np.ndarray) -> Statistic:
    """Return the recall of flags as a statistic; 0/1 target and flags, (n,)."""
    hits = (target == 1) & flagged
    return lambda weights: ratio(weights @ hits, weights @ (target == 1))


def f2_of(target: np.ndarray, flagged: np.ndarray) -> Statistic:
    """Return the F2 of flags as a statistic: 5 TP / (5 TP + 4 FN + FP)."""
    hits = (target == 1) & flagged
    missed, false = (target == 1) & ~flagged, (target == 0) & flagged
    return lambda weights: ratio(
        5 * (weights @ hits), weights @ (5.0 * hits + 4.0 * missed + false)
    )


def brier_of(target: np.ndarray, scores: np.ndarray) -> Statistic:
    """Return the Brier score as a statistic: the mean squared distance of score and outcome."""
    squares = (scores - target) ** 2
    return lambda weights: ratio(weights @ squares, weights.sum(axis=1))


def difference(first: Statistic, second: Statistic) -> Statistic:
    """Return first minus second, on the same resamples."""
    return lambda weights: first(weights) - second(weights)
