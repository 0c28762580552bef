"""Metrics and the choice of a threshold: pure functions on arrays."""

from dataclasses import asdict, dataclass

import numpy as np
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score


def label_metrics(target: np.ndarray, flagged: np.ndarray) -> dict[str, float]:
    """Return recall, precision, F2, share flagged and accuracy of 0/1 flags; arrays of shape (n,).

    A ratio whose denominator is zero is 0. F2 weighs recall four times as much as precision:
    5 TP / (5 TP + 4 FN + FP).
    """
    hit = int(np.sum((target == 1) & flagged))
    missed = int(np.sum((target == 1) & ~flagged))
    false = int(np.sum((target == 0) & flagged))

    def ratio(part: float, whole: float) -> float:
        return part / whole if whole else 0.0

    return {
        "recall": ratio(hit, hit + missed),
        "precision": ratio(hit, hit + false),
        "f2": ratio(5 * hit, 5 * hit + 4 * missed + false),
        "share_flagged": ratio(hit + false, len(target)),
        "accuracy": ratio(len(target) - missed - false, len(target)),
    }


def score_metrics(target: np.ndarray, scores: np.ndarray, threshold: float) -> dict[str, float]:
    """Return ROC-AUC, PR-AUC, Brier score and the label metrics at `threshold`.

    Raises:
        ValueError: the target holds one class only, for which no ROC exists.
    """
    if len(np.unique(target)) < 2:
        raise ValueError("the rows hold one class only: no ROC-AUC exists for them")
    return {
        "roc_auc": float(roc_auc_score(target, scores)),
        "pr_auc": float(average_precision_score(target, scores)),
        "brier": float(brier_score_loss(target, scores)),
        **label_metrics(target, scores >= threshold),
    }


@dataclass(frozen=True, slots=True)
class ThresholdPolicy:
    """Reach `min_recall` with the fewest flags; never flag more than `max_share_flagged`.

    Where both cannot be had, the best F2 within the capacity is taken.
    """

    min_recall: float = 0.90
    max_share_flagged: float = 0.75

    def __post_init__(self) -> None:
        """Raise ValueError for a share outside (0, 1]."""
        for name, value in asdict(self).items():
            if not 0.0 < value <= 1.0:
                raise ValueError(f"{name} is {value}; it must lie in (0, 1]")

    def choose(self, target: np.ndarray, scores: np.ndarray) -> tuple[float, str]:
        """Return the threshold and which rule gave it: `min_recall` or `best_f2`.

        Candidates are the scores themselves, for scores of rows the fit had not seen; (n,) each.

        Raises:
            ValueError: no candidate stays within the capacity; says what the lowest share was.
        """
        candidates = np.unique(scores)[::-1]
        rows = [(float(t), label_metrics(target, scores >= t)) for t in candidates]
        allowed = [row for row in rows if row[1]["share_flagged"] <= self.max_share_flagged]
        if not allowed:
            least = rows[0][1]["share_flagged"]
            raise ValueError(
                f"no threshold flags at most {self.max_share_flagged:.0%}: "
                f"the strictest one flags {least:.0%}"
            )
        for threshold, metrics in allowed:
            if metrics["recall"] >= self.min_recall:
                return threshold, "min_recall"
        return max(allowed, key=lambda row: (row[1]["f2"], row[0]))[0], "best_f2"
