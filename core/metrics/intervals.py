"""Bootstrap intervals of the metrics that a report gives, all on the same resamples."""

import numpy as np

from core.metrics.bootstrap import Interval, Statistic, bootstrap, brier_of, f2_of, ratio, recall_of


def metric_intervals(
    target: np.ndarray, scores: np.ndarray, threshold: float, seed: int
) -> dict[str, Interval]:
    """Return value and 95 % interval of each metric on the rows; 0/1 target, scores, (n,)."""
    flagged = scores >= threshold
    statistics = {
        "roc_auc": roc_auc_of(target, scores),
        "pr_auc": pr_auc_of(target, scores),
        "brier": brier_of(target, scores),
        **label_statistics(target, flagged),
    }
    return {name: bootstrap(s, len(target), seed) for name, s in statistics.items()}


def label_statistics(target: np.ndarray, flagged: np.ndarray) -> dict[str, Statistic]:
    """Return recall, precision, F2 and share flagged of flags as statistics."""
    return {
        "recall": recall_of(target, flagged),
        "precision": precision_of(target, flagged),
        "f2": f2_of(target, flagged),
        "share_flagged": share_of(flagged),
    }


def precision_of(target: np.ndarray, flagged: np.ndarray) -> Statistic:
    """Return the precision of flags as a statistic."""
    hits = (target == 1) & flagged
    return lambda weights: ratio(weights @ hits, weights @ flagged)


def share_of(flagged: np.ndarray) -> Statistic:
    """Return the share flagged as a statistic."""
    return lambda weights: ratio(weights @ flagged, weights.sum(axis=1))


def roc_auc_of(target: np.ndarray, scores: np.ndarray) -> Statistic:
    """Return the ROC-AUC as a statistic: P(score of a positive > of a negative), ties counted half.

    Mann and Whitney's U over weighted rows.
    """
    order = np.argsort(scores, kind="stable")
    ranked, positive = scores[order], (target[order] == 1)
    first = np.searchsorted(ranked, ranked, side="left")
    past = np.searchsorted(ranked, ranked, side="right")

    def area(weights: np.ndarray) -> np.ndarray:
        mine = weights[:, order]
        below = np.concatenate(
            [np.zeros((len(mine), 1)), np.cumsum(mine * ~positive, axis=1)], axis=1
        )
        wins = (below[:, first] + below[:, past]) / 2
        pairs = (mine @ positive) * (mine @ ~positive)
        return ratio((mine * positive * wins).sum(axis=1), pairs)

    return area


def pr_auc_of(target: np.ndarray, scores: np.ndarray) -> Statistic:
    """Return the average precision as a statistic: Σ (Rₖ − Rₖ₋₁) Pₖ over distinct thresholds."""
    order = np.argsort(-scores, kind="stable")
    ranked, positive = scores[order], (target[order] == 1)
    last = np.searchsorted(-ranked, -ranked, side="right") - 1

    def area(weights: np.ndarray) -> np.ndarray:
        mine = weights[:, order]
        hits, flags = np.cumsum(mine * positive, axis=1), np.cumsum(mine, axis=1)
        # Rows of one score share one threshold: the precision behind the last of them.
        precision = ratio(hits[:, last], flags[:, last])
        gained = np.where(mine * positive > 0, mine * positive * precision, 0.0).sum(axis=1)
        return ratio(gained, hits[:, -1])

    return area
