"""Performance before any label: what calibrated scores say of themselves. Pure arithmetic.

Confidence-based estimation. If the scores are calibrated, a row with score s has label 1 with
chance s, so it adds s to the expected true positives where it was flagged and 1 - s to the false
ones, and likewise for the negatives (Guillory et al., Predicting with Confidence on Unseen
Distributions, 2021, arXiv:2107.03315; the binary case of NannyML's CBPE, compared with others in
Bialek, Kuberski, Perrakis, Bifet, 2024, arXiv:2401.08348).

The assumption cannot be checked without labels: the inputs may have changed, but what a score means
must not have. Where the relation between inputs and outcome has changed, the estimate does not see
it; the performance report does, when labels come.
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
"""Fewer rows give no estimate: a window of one has a recall of 1 or an undefined one."""
_DRAWS = 4000


@dataclass(frozen=True, slots=True)
class ExpectedPerformance:
    """What labels should show if the scores are calibrated.

    The intervals say where the numbers of this very window would fall in 95 % of the cases, since
    labels are chance even when every score is right; they do not cover a broken assumption.

    Attributes:
        n_rows: scored rows that it rests on.
        positive_rate: expected share of label 1.
        share_flagged: share that was answered 1, which is known.
        widened_by: how wrong estimates were at the last change of period, by name; the intervals
            reach so much further.
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
        """Return the estimates with ranges that reach as far again as they were wrong before.

        `errors` are what came true minus what was promised for a period that the fit had not seen,
        by name; their size counts, in both directions.
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
"""Numbers that are foretold."""


def _wider(found: Estimate, by: float) -> Estimate:
    if found.value is None:
        return found
    low, high = (found.value if end is None else end for end in (found.low, found.high))
    return Estimate(found.value, max(0.0, low - by), min(1.0, high + by))


class Scores:
    """Sums what the estimate needs, batch after batch; memory does not grow with the rows.

    Scores are kept in 4,096 bins of [0, 1] with their sums, so all but ROC-AUC are exact, and that
    is off by less than the share of pairs within one bin.
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
        # One pass: the flag chooses which half of the bins a row falls into.
        index += BINS * flagged
        self._count += np.bincount(index, minlength=2 * BINS).reshape(2, BINS)
        self._sum += np.bincount(index, chance, minlength=2 * BINS).reshape(2, BINS)
        doubt = chance * (1 - chance)
        hits = float(doubt @ flagged)
        self._spread += (float(doubt.sum()) - hits, hits)

    def merge(self, other: "Scores") -> None:
        """Add what another tally summed."""
        self._count += other._count
        self._sum += other._sum
        self._spread += other._spread

    def estimate(self) -> ExpectedPerformance | None:
        """Return the expected performance of the rows so far, or None of too few (`MIN_ROWS`)."""
        n_left, n_flagged = self._count.sum(axis=1)
        n = n_left + n_flagged
        if n < MIN_ROWS:
            return None
        found: Mapping[str, Any] = foretold(self._sum.sum(axis=1), self._spread, n_flagged, n)
        share, roc_auc = float(n_flagged / n), Estimate(self._roc_auc())
        return ExpectedPerformance(int(n), share_flagged=share, roc_auc=roc_auc, **found)

    def _roc_auc(self) -> float | None:
        """Return the expected share of pairs that the score orders rightly, ties half."""
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
        sums: the chances of label 1 summed, of the n - n_flagged rows left and of those flagged.
        spread: the variances of these sums.
        n_flagged: rows flagged.
        n: all rows.
    """
    rng = np.random.default_rng(SEED)
    # Each sum of independent chances is nearly normal (Lindeberg), within what is possible.
    missed, hit = sums
    sd = np.sqrt(np.maximum(spread, 0.0))  # a difference of sums may fall just below 0
    hits = np.clip(rng.normal(hit, sd[1], _DRAWS), 0, n_flagged)
    misses = np.clip(rng.normal(missed, sd[0], _DRAWS), 0, n - n_flagged)
    draws = _ratios(hits, misses, n_flagged, n)
    points = _ratios(np.array([hit]), np.array([missed]), n_flagged, n)
    return {name: estimate_of(float(points[name][0]), draws[name], CONFIDENCE) for name in points}


def promised(scores: Floats, flagged: Flags) -> dict[str, float]:
    """Return what the scores promise of flags, by name; NaN where it is not defined; (n,) each."""
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
