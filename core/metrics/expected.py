"""Expected performance without labels, estimated from calibrated scores. Pure arithmetic.

Confidence-based estimation. If the scores are calibrated, a row with score s has label 1 with
probability s, so it adds s to the expected true positives where it was flagged and 1 - s to the
false ones, and likewise for the negatives (Guillory et al., Predicting with Confidence on Unseen
Distributions, 2021, arXiv:2107.03315; the binary case of NannyML's CBPE, compared with others in
Bialek, Kuberski, Perrakis, Bifet, 2024, arXiv:2401.08348).

The assumption cannot be checked without labels: the distribution of inputs may have changed, but
not the calibration of the scores. The estimate does not detect concept drift, a changed relation
between inputs and outcome; the performance report does, once labels are available.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from core.metrics.resampling import Estimate, Flags, Floats, Ints, estimate_of

BINS = 4096
SEED = 20_240_501
CONFIDENCE = 0.95
MIN_ROWS = 30
"""Minimum rows for an estimate: with one row recall is either 1 or undefined."""
_DRAWS = 4000


@dataclass(frozen=True, slots=True)
class ExpectedPerformance:
    """The performance to expect if the scores are calibrated.

    The intervals contain this window's metrics in 95 % of the cases, since labels are random even
    where every score is exact; they do not cover a violation of the assumption.

    Attributes:
        n_rows: scored rows on which it is based.
        positive_rate: expected share of label 1.
        share_flagged: share of rows that were flagged, which is known.
        widened_by: absolute errors of the estimates at the last change of period, by name; the
            intervals are widened by them at both ends.
    """

    n_rows: int
    positive_rate: Estimate
    share_flagged: float
    recall: Estimate
    precision: Estimate
    f2: Estimate
    roc_auc: Estimate
    widened_by: Mapping[str, float] = field(default_factory=dict)

    def widened(self, errors: Mapping[str, float]) -> "ExpectedPerformance":
        """Return the estimates with intervals widened by past errors of such estimates.

        `errors` are observed minus expected values of a period that was not in the training data,
        by name; their absolute values widen the intervals at both ends.
        """
        known = [name for name in ESTIMATED if math.isfinite(errors.get(name, math.inf))]
        by = {name: abs(errors[name]) for name in known}
        wider: dict[str, Any] = {name: _wider(getattr(self, name), by[name]) for name in by}
        return replace(self, widened_by=by, **wider)

    def estimates(self) -> Mapping[str, Estimate]:
        """Return the estimates by metric."""
        return {name: getattr(self, name) for name in ESTIMATED}

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, fit for JSON."""
        return {"assumption": "calibrated scores", "confidence": CONFIDENCE, **asdict(self)}


ESTIMATED = ("positive_rate", "recall", "precision", "f2", "roc_auc")
"""Metrics that are estimated."""


def _wider(found: Estimate, by: float) -> Estimate:
    if found.value is None:
        return found
    low, high = (found.value if end is None else end for end in (found.low, found.high))
    return Estimate(found.value, max(0.0, low - by), min(1.0, high + by))


class Scores:
    """Running sums for the estimate, updated per batch; memory does not grow with the rows.

    Scores are kept in 4,096 bins of [0, 1] with their sums, so all metrics but ROC-AUC are exact;
    its error is less than the share of pairs within one bin.
    """

    def __init__(self) -> None:
        """Start with no row."""
        self._count = np.zeros((2, BINS))
        self._sum = np.zeros((2, BINS))
        self._spread = np.zeros(2)

    def add(self, score: Floats, flag: Ints) -> None:
        """Add scores in [0, 1] (others are clipped) and 0/1 flags, shape (n,) each."""
        chance = np.clip(score, 0.0, 1.0)
        flagged = flag == 1
        index = np.minimum((chance * BINS).astype(np.int64), BINS - 1)
        # One pass: the flag selects the half of the bins into which a row falls.
        index += BINS * flagged
        self._count += np.bincount(index, minlength=2 * BINS).reshape(2, BINS)
        self._sum += np.bincount(index, chance, minlength=2 * BINS).reshape(2, BINS)
        doubt = chance * (1 - chance)
        hits = float(doubt @ flagged)
        self._spread += (float(doubt.sum()) - hits, hits)

    def merge(self, other: "Scores") -> None:
        """Add the sums of another instance."""
        self._count += other._count
        self._sum += other._sum
        self._spread += other._spread

    def estimate(self) -> ExpectedPerformance | None:
        """Return the expected performance of the rows so far; None of fewer than `MIN_ROWS`."""
        n_left, n_flagged = self._count.sum(axis=1)
        n = n_left + n_flagged
        if n < MIN_ROWS:
            return None
        found: Mapping[str, Any] = foretold(self._sum.sum(axis=1), self._spread, n_flagged, n)
        share, roc_auc = float(n_flagged / n), Estimate(self._roc_auc())
        return ExpectedPerformance(int(n), share_flagged=share, roc_auc=roc_auc, **found)

    def _roc_auc(self) -> float | None:
        """Return the expected share of pairs that the score orders correctly, ties counted half."""
        up = self._sum.sum(axis=0)
        down = self._count.sum(axis=0) - up
        pairs = up.sum() * down.sum()
        if pairs <= 0:
            return None
        below = np.cumsum(down) - down
        return float((up * (below + down / 2)).sum() / pairs)


def foretold(sums: Floats, spread: Floats, n_flagged: float, n: float) -> dict[str, Estimate]:
    """Return recall, precision, F2 and the share of positives with their intervals.

    Args:
        sums: summed probabilities of label 1, of the n - n_flagged unflagged and the flagged rows.
        spread: the variances of these sums.
        n_flagged: rows flagged.
        n: all rows.
    """
    rng = np.random.default_rng(SEED)
    # A sum of independent Bernoulli labels is nearly normal (Lindeberg); clipped to its range.
    missed, hit = sums
    sd = np.sqrt(np.maximum(spread, 0.0))  # a difference of sums may fall just below 0
    hits = np.clip(rng.normal(hit, sd[1], _DRAWS), 0, n_flagged)
    misses = np.clip(rng.normal(missed, sd[0], _DRAWS), 0, n - n_flagged)
    draws = _ratios(hits, misses, n_flagged, n)
    points = _ratios(np.array([hit]), np.array([missed]), n_flagged, n)
    return {name: estimate_of(float(points[name][0]), draws[name], CONFIDENCE) for name in points}


def promised(scores: Floats, flagged: Flags) -> dict[str, float]:
    """Return the metrics of flags expected from scores, NaN where undefined; shape (n,) each."""
    hit, missed = float(scores[flagged].sum()), float(scores[~flagged].sum())
    found = _ratios(np.array([hit]), np.array([missed]), float(flagged.sum()), float(len(scores)))
    return {name: float(values[0]) for name, values in found.items()}


def _ratios(hit: Floats, missed: Floats, n_flagged: float, n: float) -> dict[str, Floats]:
    """Return recall, precision, F2 and the share of positives from expected or drawn counts."""
    with np.errstate(divide="ignore", invalid="ignore"):
        positive = hit + missed
        return {
            "recall": hit / positive,
            "precision": hit / n_flagged if n_flagged else np.full_like(hit, np.nan),
            "f2": np.where(positive > 0, 5 * hit / (n_flagged + 4 * positive), np.nan),
            "positive_rate": positive / n,
        }
