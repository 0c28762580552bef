"""Regression metrics of predictions and outcomes; each is a statistic of weighted rows.

Definitions as scikit-learn's: mean absolute error, root mean squared error, R² and mean error.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.messages import N_
from core.metrics.metric import Metric, statistics_of
from core.metrics.resampling import (
    Estimate,
    Floats,
    Statistic,
    estimated,
    mean_of,
    ratio,
    values_of,
)

BANDS = 10


@dataclass(frozen=True, slots=True)
class Band:
    """A bin of similar predictions: rows, mean prediction and mean outcome."""

    n: int
    mean_foretold: float
    mean_true: float

    @property
    def bias(self) -> float:
        """Return the band's mean prediction minus its mean outcome."""
        return self.mean_foretold - self.mean_true


def r2_of(target: Floats, foretold: Floats) -> Statistic:
    """Return 1 − Σ(y − ŷ)² / Σ(y − ȳ)² as a statistic; undefined where all outcomes are equal.

    The mean ȳ is that of the weighted rows.
    """
    missed, centred = (target - foretold) ** 2, target - target.mean()

    def r2(weights: Floats) -> Floats:
        total = weights.sum(axis=1)
        mean = (weights * centred).sum(axis=1) / total
        spread = (weights * centred**2).sum(axis=1) - total * mean**2
        return 1 - ratio((weights * missed).sum(axis=1), spread)

    return r2


def rmse_of(target: Floats, foretold: Floats) -> Statistic:
    """Return √(mean (y − ŷ)²) as a statistic."""
    squared = mean_of((target - foretold) ** 2)
    return lambda weights: np.sqrt(squared(weights))


METRICS: Mapping[str, Metric] = {
    "mae": Metric(
        lambda target, foretold: mean_of(np.abs(target - foretold)), N_("Mean absolute error")
    ),
    "rmse": Metric(rmse_of, N_("Root mean squared error")),
    "r2": Metric(
        r2_of,
        N_("R²"),
        N_("share of the variance that the output explains; below 0 the mean would do better"),
    ),
    "bias": Metric(
        lambda target, foretold: mean_of(foretold - target),
        N_("Bias"),
        N_("mean of output less outcome: above 0 the output is too high"),
    ),
}
"""Metrics of a predicted number, in display order."""


def statistics(target: Floats, foretold: Floats) -> dict[str, Statistic]:
    """Return every metric as a statistic, by name; arrays of shape (n,)."""
    return statistics_of(METRICS, target, scores=foretold)


def metrics(target: npt.ArrayLike, foretold: npt.ArrayLike) -> dict[str, float]:
    """Return every metric of the rows, independent of their order; NaN where one is undefined."""
    rows = _sorted_rows(target, foretold)
    return values_of(statistics(*rows), len(rows[0]))


def estimates(
    target: Floats, foretold: Floats, *, resamples: int, seed: int, confidence: float
) -> tuple[Mapping[str, Estimate], Mapping[str, Floats]]:
    """Return every metric with its interval, and the bootstrap samples behind the intervals."""
    rows = _sorted_rows(target, foretold)
    return estimated(statistics(*rows), len(rows[0]), resamples, seed, confidence)


def _sorted_rows(target: npt.ArrayLike, foretold: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return the rows in a canonical order, so that sums do not depend on the input order."""
    came = np.asarray(target, dtype=np.float64)
    said = np.asarray(foretold, dtype=np.float64)
    order = np.lexsort((came, said))
    return came[order], said[order]


def bands(target: Floats, foretold: Floats) -> list[Band]:
    """Return up to ten quantile bands by prediction, lowest first; ties stay together."""
    if not len(target):
        return []
    edges = np.unique(np.quantile(foretold, np.arange(1, BANDS) / BANDS, method="lower"))
    places = np.searchsorted(edges, foretold, side="left")
    return [
        Band(int(rows.sum()), float(foretold[rows].mean()), float(target[rows].mean()))
        for rows in (places == place for place in np.unique(places))
    ]
