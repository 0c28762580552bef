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
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from core.metrics.resampling import Estimate, Floats, percentiles
from monitoring.drift.baseline import SCORE

FLAG = "label"
"""Column of the answered flag."""
BINS = 4096
SEED = 20_240_501
CONFIDENCE = 0.95
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
    """

    n_rows: int
    positive_rate: Estimate
    share_flagged: float
    recall: Estimate
    precision: Estimate
    f2: Estimate
    roc_auc: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, fit for JSON."""
        return {"assumption": "calibrated scores", "confidence": CONFIDENCE, **asdict(self)}


class ScoreTally:
    """Sums what the estimate needs, batch after batch; memory does not grow with the rows.

    Scores are kept in 4,096 bins of [0, 1] with their sums, so all but ROC-AUC are exact, and that
    is off by less than the share of pairs within one bin.
    """

    def __init__(self) -> None:
        """Start with no row."""
        self._count = np.zeros((2, BINS))
        self._sum = np.zeros((2, BINS))
        self._spread = np.zeros(2)

    def watch(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Pass batches on, having added those of their rows that hold a score and a flag."""
        for batch in batches:
            self._add_known(batch.select([SCORE, FLAG]))
            yield batch

    def add(self, score: Floats, flag: npt.NDArray[np.int64]) -> None:
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

    def _add_known(self, rows: pa.RecordBatch) -> None:
        """Add the rows that hold both; an Arrow sum is finite where no score is NaN."""
        score, flag = rows.columns
        total = pc.sum(score).as_py()
        if score.null_count or flag.null_count or not math.isfinite(total or 0.0):
            known = pc.and_(pc.is_finite(score), pc.is_valid(flag))
            score, flag = rows.filter(known).columns
        self.add(score.to_numpy(zero_copy_only=False), flag.to_numpy(zero_copy_only=False))

    def merge(self, other: "ScoreTally") -> None:
        """Add what another tally summed."""
        self._count += other._count
        self._sum += other._sum
        self._spread += other._spread

    def estimate(self) -> ExpectedPerformance | None:
        """Return the expected performance of the rows so far, or None without any."""
        n_left, n_flagged = self._count.sum(axis=1)
        missed, hit = self._sum.sum(axis=1)
        n = n_left + n_flagged
        if not n:
            return None
        rng = np.random.default_rng(SEED)
        # Each sum of independent chances is nearly normal (Lindeberg), within what is possible.
        sd = np.sqrt(self._spread)
        hits = np.clip(rng.normal(hit, sd[1], _DRAWS), 0, n_flagged)
        misses = np.clip(rng.normal(missed, sd[0], _DRAWS), 0, n_left)
        draws = _ratios(hits, misses, n_flagged, n)
        points = _ratios(np.array([hit]), np.array([missed]), n_flagged, n)
        return ExpectedPerformance(
            n_rows=int(n),
            share_flagged=float(n_flagged / n),
            roc_auc=Estimate(self._roc_auc()),
            **{name: _estimate(float(points[name][0]), draws[name]) for name in points},
        )

    def _roc_auc(self) -> float | None:
        """Return the expected share of pairs that the score orders rightly, ties half."""
        up = self._sum.sum(axis=0)
        down = self._count.sum(axis=0) - up
        pairs = up.sum() * down.sum()
        if pairs <= 0:
            return None
        below = np.cumsum(down) - down
        return float((up * (below + down / 2)).sum() / pairs)


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


def _estimate(value: float, draws: Floats) -> Estimate:
    if not np.isfinite(value):
        return Estimate(None)
    return Estimate(value, *percentiles(draws, CONFIDENCE))
