"""Calibration: scores against observed rates, in bins of equal width over [0, 1]."""

from dataclasses import dataclass

import numpy as np

from core.metrics.resampling import Floats, Ints, Statistic

BINS = 10
"""Number of bins; their edges are independent of the rows, so that samples are comparable."""


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Rows of similar score: their number, mean score, and share of positives."""

    n: int
    mean_score: float
    positive_rate: float


def ece_of(target: Ints, scores: Floats) -> Statistic:
    """Return the expected calibration error as a statistic.

    ECE = Σ over bins of (rows of the bin / n) · |share of positives − mean score|: Guo, Pleiss,
    Sun, Weinberger, On Calibration of Modern Neural Networks (2017), equation 3. Never zero in a
    small sample; its bootstrap is biased upwards.
    """
    places, gaps = _places(scores), target - scores
    filled = [places == place for place in np.unique(places)]

    def error(weights: Floats) -> Floats:
        sums = [np.abs((weights[:, rows] * gaps[rows]).sum(axis=1)) for rows in filled]
        mean: Floats = np.sum(sums, axis=0) / weights.sum(axis=1)
        return mean

    return error


def calibration(target: Ints, scores: Floats) -> list[CalibrationBin]:
    """Return the bins that hold rows, lowest scores first, from which the ECE is computed."""
    places = _places(scores)
    return [
        CalibrationBin(int(rows.sum()), float(scores[rows].mean()), float(target[rows].mean()))
        for rows in (places == place for place in np.unique(places))
    ]


def _places(scores: Floats) -> Ints:
    """Return each row's bin; a score of 1 is in the last."""
    return np.minimum((scores * BINS).astype(np.int64), BINS - 1)
