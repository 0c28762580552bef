"""What scores promise against what happened, in bins of equal width over [0, 1]."""

from dataclasses import dataclass

import numpy as np

from core.metrics.resampling import Floats, Ints, Statistic

BINS = 10
"""The bins do not depend on the rows, so two samples of one distribution are measured alike."""


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Rows of similar score: how many, their mean score, and the share of positives."""

    n: int
    mean_score: float
    positive_rate: float


def ece_of(target: Ints, scores: Floats) -> Statistic:
    """Return the expected calibration error as a statistic.

    ECE = Σ over bins of (rows of the bin / n) · |share of positives − mean score|: Guo, Pleiss,
    Sun, Weinberger, On Calibration of Modern Neural Networks (2017), equation 3. Never zero in a
    small sample; its bootstrap leans upwards.
    """
    places, gaps = _places(scores), target - scores
    filled = [places == place for place in np.unique(places)]

    def error(weights: Floats) -> Floats:
        sums = [np.abs((weights[:, rows] * gaps[rows]).sum(axis=1)) for rows in filled]
        mean: Floats = np.sum(sums, axis=0) / weights.sum(axis=1)
        return mean

    return error


def calibration(target: Ints, scores: Floats) -> list[CalibrationBin]:
    """Return the bins that hold rows, lowest scores first: what the ECE is computed of."""
    places = _places(scores)
    return [
        CalibrationBin(int(rows.sum()), float(scores[rows].mean()), float(target[rows].mean()))
        for rows in (places == place for place in np.unique(places))
    ]


def _places(scores: Floats) -> Ints:
    """Return each row's bin; a score of 1 is in the last."""
    return np.minimum((scores * BINS).astype(np.int64), BINS - 1)
