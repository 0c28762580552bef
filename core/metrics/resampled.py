"""Performance of scores and flags against labels, for many resamples at once. Pure arithmetic."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Weights = npt.NDArray[np.int64]

ECE_BINS = 10
Z = 1.959963984540054
"""Of a two-sided 95 % interval."""
_CELLS = 2_000_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval; None where it is not defined (no positive, say)."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def to_dict(self) -> dict[str, float | None]:
        """Return plain data."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Rows of similar score: how many, their mean score, and the share of positives."""

    n: int
    mean_score: float
    positive_rate: float


class Evaluation:
    """Labelled rows, sorted once, whose metrics can be had for any resample of them.

    Metrics: `recall`, `precision`, `f2` (5 TP / (5 TP + 4 FN + FP)) and `share_flagged` of the
    flags; `roc_auc`, `pr_auc` (average precision), `brier` and `ece` of the scores;
    `positive_rate` of the labels. Tied scores count half in ROC-AUC and enter together in PR-AUC,
    as in scikit-learn.
    """

    def __init__(self, target: npt.ArrayLike, score: npt.ArrayLike, flag: npt.ArrayLike) -> None:
        """Take 0/1 labels, scores in [0, 1] and 0/1 flags, shape (n,) each."""
        scores = np.asarray(score, dtype=np.float64)
        order = np.argsort(-scores, kind="stable")
        self.score = scores[order]
        self.target = np.asarray(target, dtype=np.int64)[order]
        self.flag = np.asarray(flag, dtype=np.int64)[order]
        self._ties = np.flatnonzero(np.diff(self.score, prepend=math.inf))
        n = len(self.score)
        cuts = np.arange(min(ECE_BINS, n)) * n // max(min(ECE_BINS, n), 1)
        # Rows of one score stay in one bin.
        firsts = self._ties[np.searchsorted(self._ties, cuts, side="right") - 1] if n else cuts
        self._bins = np.unique(firsts)

    @property
    def n_rows(self) -> int:
        """Return the number of labelled rows."""
        return len(self.target)

    @property
    def n_positive(self) -> int:
        """Return the number of rows whose label is 1."""
        return int(self.target.sum())

    def metrics(self, weights: Weights | None = None) -> dict[str, Floats]:
        """Return every metric, shape (samples,) each, NaN where it is not defined.

        `weights`, shape (samples, n), says how often each sorted row is in each sample; without
        them, each row is there once.
        """
        w = np.ones((1, self.n_rows), dtype=np.int64) if weights is None else weights
        positive, negative = w * self.target, w * (1 - self.target)
        total, n_positive = w.sum(axis=1), positive.sum(axis=1)
        hit = positive @ self.flag
        false = negative @ self.flag
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                "recall": hit / n_positive,
                "precision": hit / (hit + false),
                "f2": np.where(n_positive > 0, 5 * hit / (hit + 4 * n_positive + false), np.nan),
                "roc_auc": self._roc_auc(positive, negative),
                "pr_auc": self._pr_auc(positive, negative),
                "brier": w @ (self.score - self.target) ** 2 / total,
                "ece": self._ece(w, positive) / total,
                "share_flagged": (hit + false) / total,
                "positive_rate": n_positive / total,
            }

    def calibration(self) -> list[CalibrationBin]:
        """Return up to ten bins of about equally many rows, lowest scores first."""
        ends = np.append(self._bins[1:], self.n_rows)
        return [
            CalibrationBin(
                int(end - start),
                float(self.score[start:end].mean()),
                float(self.target[start:end].mean()),
            )
            for start, end in zip(self._bins[::-1], ends[::-1], strict=True)
        ]

    def bootstrap(self, resamples: int, seed: int) -> dict[str, Floats]:
        """Return every metric of `resamples` samples of n rows drawn with replacement."""
        rng = np.random.default_rng(seed)
        n, parts = self.n_rows, []
        step = max(1, _CELLS // n)
        for start in range(0, resamples, step):
            size = min(step, resamples - start)
            drawn = rng.integers(0, n, (size, n)) + n * np.arange(size)[:, None]
            weights = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
            parts.append(self.metrics(weights))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _roc_auc(self, positive: Weights, negative: Weights) -> Floats:
        """Return the share of pairs that the score orders rightly, ties half."""
        up = np.add.reduceat(positive, self._ties, axis=1)
        down = np.add.reduceat(negative, self._ties, axis=1)
        n_down = down.sum(axis=1, keepdims=True)
        below = n_down - np.cumsum(down, axis=1)
        pairs = up.sum(axis=1) * n_down[:, 0]
        result: Floats = (up * (below + down / 2)).sum(axis=1) / pairs
        return result

    def _pr_auc(self, positive: Weights, negative: Weights) -> Floats:
        """Return the average precision: Σ (recall step) x precision, over distinct scores."""
        up = np.add.reduceat(positive, self._ties, axis=1)
        hits = np.cumsum(up, axis=1)
        seen = hits + np.cumsum(np.add.reduceat(negative, self._ties, axis=1), axis=1)
        precision = hits / np.maximum(seen, 1)
        result: Floats = (up * precision).sum(axis=1) / up.sum(axis=1)
        return result

    def _ece(self, weights: Weights, positive: Weights) -> Floats:
        """Return Σ over bins of |Σ score - positives|, the expected calibration error times n."""
        scores = np.add.reduceat(weights * self.score, self._bins, axis=1)
        hits = np.add.reduceat(positive, self._bins, axis=1)
        result: Floats = np.abs(scores - hits).sum(axis=1)
        return result


def interval(samples: Floats, confidence: float) -> tuple[float | None, float | None]:
    """Return the percentile interval of the samples where the metric is defined; Nones if nowhere.

    Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
    """
    defined = samples[np.isfinite(samples)]
    if not len(defined):
        return None, None
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)


def estimates(
    rows: Evaluation, samples: Mapping[str, Floats], confidence: float
) -> dict[str, Estimate]:
    """Return every metric of the rows with the interval that its bootstrap `samples` give."""
    points = {name: float(values[0]) for name, values in rows.metrics().items()}
    return {
        name: Estimate(value, *interval(samples[name], confidence))
        if math.isfinite(value)
        else Estimate(None)
        for name, value in points.items()
    }


def wilson(hits: int, n: int) -> Estimate:
    """Return a share with its 95 % interval, which holds for few rows and extreme shares.

    Wilson, Probable Inference, the Law of Succession, and Statistical Inference (1927). A bootstrap
    of three hits in three would be certain of itself.
    """
    if not n:
        return Estimate(None)
    share, spread = hits / n, Z**2 / n
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    return Estimate(share, max(0.0, middle - half), min(1.0, middle + half))
