"""Metrics of a target of 0 and 1, scores in [0, 1] and flags; each is defined for weighted rows.

A metric is a statistic of weighted rows (`core.metrics.resampling`), so its value, its bootstrap
and a paired difference of two models share one formula. `metrics` returns the unweighted values,
independent of row order; training logs them, monitoring compares with them.
"""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from core.messages import N_
from core.metrics.calibration import ece_of
from core.metrics.metric import Metric, statistics_of
from core.metrics.resampling import (
    Estimate,
    Flags,
    Floats,
    Interval,
    Ints,
    Statistic,
    bootstraps,
    estimated,
    log_loss_of,
    mean_of,
    ratio,
    values_of,
)

Rows = tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike]
"""Outcomes, scores and flags of rows, shape (n,) each."""


def recall_of(target: Ints, flagged: Flags) -> Statistic:
    """Return TP / (TP + FN) as a statistic."""
    hits, positive = _as_floats((target == 1) & flagged, target == 1)
    return lambda weights: ratio(weights @ hits, weights @ positive)


def precision_of(target: Ints, flagged: Flags) -> Statistic:
    """Return TP / (TP + FP) as a statistic."""
    hits, flags = _as_floats((target == 1) & flagged, flagged)
    return lambda weights: ratio(weights @ hits, weights @ flags)


def f2_of(target: Ints, flagged: Flags) -> Statistic:
    """Return 5 TP / (5 TP + 4 FN + FP) as a statistic; 0 where nothing is flagged.

    F-beta with beta = 2 (van Rijsbergen 1979): recall weighs four times as much as precision. Not
    defined without positives.
    """
    hits, positive, flags = _as_floats((target == 1) & flagged, target == 1, flagged)

    def f2(weights: Floats) -> Floats:
        positives = weights @ positive
        whole = np.where(positives > 0, 4 * positives + weights @ flags, 0.0)
        return ratio(5 * (weights @ hits), whole)

    return f2


def share_of(rows: Flags) -> Statistic:
    """Return the share of selected rows as a statistic."""
    (chosen,) = _as_floats(rows)
    return lambda weights: ratio(weights @ chosen, weights.sum(axis=1))


def brier_of(target: Ints, scores: Floats) -> Statistic:
    """Return the Brier score as a statistic: the mean squared difference of score and outcome."""
    return mean_of((scores - target) ** 2)


def roc_auc_of(target: Ints, scores: Floats) -> Statistic:
    """Return the ROC-AUC as a statistic: P(score of a positive > of a negative), ties counted half.

    Mann and Whitney's U over weighted rows.
    """
    order, firsts = _ranking(scores)
    positive = (target == 1)[order]

    def area(weights: Floats) -> Floats:
        up, down = _by_score(weights[:, order], positive, firsts)
        below = np.cumsum(down, axis=1) - down / 2
        return ratio((up * below).sum(axis=1), up.sum(axis=1) * down.sum(axis=1))

    return area


def roc_auc(target: npt.ArrayLike, scores: Floats) -> float:
    """Return the ROC-AUC of unweighted rows; NaN where one class is absent."""
    found = {"roc_auc": roc_auc_of(np.asarray(target, dtype=np.int64), scores)}
    return values_of(found, len(scores))["roc_auc"]


def pr_auc_of(target: Ints, scores: Floats) -> Statistic:
    """Return the average precision as a statistic: Σ (Rₖ − Rₖ₋₁) Pₖ over distinct scores."""
    order, firsts = _ranking(scores)
    positive = (target == 1)[order]

    def area(weights: Floats) -> Floats:
        up, down = _by_score(weights[:, order], positive, firsts)
        hits, false = (np.cumsum(n[:, ::-1], axis=1)[:, ::-1] for n in (up, down))
        precision = hits / np.maximum(hits + false, 1.0)
        return ratio((up * precision).sum(axis=1), up.sum(axis=1))

    return area


METRICS: Mapping[str, Metric] = {
    "recall": Metric(
        recall_of,
        N_("Recall"),
        N_("of those with outcome 1, how many were flagged"),
        of_labels=True,
    ),
    "precision": Metric(
        precision_of,
        N_("Precision"),
        N_("of those flagged, how many had outcome 1"),
        of_labels=True,
    ),
    "f2": Metric(
        f2_of,
        N_("F2"),
        N_("recall and precision in one number, recall counting four times as much"),
        of_labels=True,
    ),
    "share_flagged": Metric(
        lambda _target, flagged: share_of(flagged), N_("Share flagged"), of_labels=True
    ),
    "roc_auc": Metric(roc_auc_of, N_("ROC-AUC"), N_("how well the score ranks; 0.5 is chance")),
    "pr_auc": Metric(
        pr_auc_of, N_("PR-AUC"), N_("average precision; depends on how many have outcome 1")
    ),
    "brier": Metric(
        brier_of,
        N_("Brier score"),
        N_("mean squared distance of score and outcome; 0 is best"),
    ),
    "log_loss": Metric(
        lambda target, scores: log_loss_of(np.where(target == 1, scores, 1 - scores)),
        N_("Log loss"),
        N_("as the Brier score, but harder on wrong certainty"),
    ),
    "ece": Metric(
        ece_of,
        N_("Calibration error (ECE)"),
        N_("mean distance of score and the share that came true; never zero in small samples"),
    ),
    "positive_rate": Metric(
        lambda target, _scores: share_of(target == 1), N_("Share with outcome 1")
    ),
    # Logged but not shown: where few rows have outcome 1 it is high even without any flag.
    "accuracy": Metric(lambda target, flagged: share_of((target == 1) == flagged), of_labels=True),
}
"""Metrics of a score and its flags, in display order."""


def statistics(target: Ints, scores: Floats, flagged: Flags) -> dict[str, Statistic]:
    """Return every metric as a statistic, by name; arrays of shape (n,)."""
    return statistics_of(METRICS, target, scores=scores, labels=flagged)


def metrics(
    target: npt.ArrayLike, scores: npt.ArrayLike, flagged: npt.ArrayLike
) -> dict[str, float]:
    """Return every metric of the rows, independent of their order; NaN where one is undefined."""
    rows = _sorted_rows(target, scores, flagged)
    return values_of(statistics(*rows), len(rows[0]))


def label_metrics(target: npt.ArrayLike, flagged: npt.ArrayLike) -> dict[str, float]:
    """Return the metrics of flags; an undefined one is 0, as in scikit-learn."""
    flags = np.asarray(flagged, dtype=bool)
    found = values_of(
        statistics_of(METRICS, np.asarray(target, dtype=np.int64), labels=flags), len(flags)
    )
    return {name: value if math.isfinite(value) else 0.0 for name, value in found.items()}


def score_metrics(
    target: npt.ArrayLike, scores: npt.ArrayLike, threshold: float
) -> dict[str, float]:
    """Return every metric at a threshold; an undefined one is 0 (precision without flags).

    Raises:
        ValueError: the target holds one class only, for which no ROC exists.
    """
    if len(np.unique(np.asarray(target))) < 2:
        raise ValueError("the rows hold one class only: no ROC-AUC exists for them")
    found = metrics(target, scores, np.asarray(scores) >= threshold)
    return {name: value if math.isfinite(value) else 0.0 for name, value in found.items()}


def metric_intervals(
    target: npt.ArrayLike, scores: npt.ArrayLike, threshold: float, seed: int
) -> dict[str, Interval]:
    """Return value and 95 % interval of each metric that the rows define, by name.

    Without the ECE, whose bootstrap is biased upwards.
    """
    rows = _sorted_rows(target, scores, np.asarray(scores) >= threshold)
    found = {name: each for name, each in statistics(*rows).items() if name != "ece"}
    return bootstraps(found, len(rows[0]), seed)


def estimates(
    target: npt.ArrayLike,
    scores: npt.ArrayLike,
    flagged: npt.ArrayLike,
    *,
    resamples: int,
    seed: int,
    confidence: float,
) -> tuple[dict[str, Estimate], dict[str, Floats]]:
    """Return every metric with its interval, and the bootstrap samples behind the intervals."""
    rows = _sorted_rows(target, scores, flagged)
    return estimated(statistics(*rows), len(rows[0]), resamples, seed, confidence)


def _sorted_rows(
    target: npt.ArrayLike, scores: npt.ArrayLike, flagged: npt.ArrayLike
) -> tuple[Ints, Floats, Flags]:
    """Return the rows in a canonical order, so that sums do not depend on the input order."""
    said = np.asarray(scores, dtype=np.float64)
    came, flags = np.asarray(target, dtype=np.int64), np.asarray(flagged, dtype=bool)
    order = np.lexsort((flags, came, said))
    return came[order], said[order], flags[order]


def _as_floats(*masks: Flags) -> list[Floats]:
    """Return masks as 0.0 and 1.0: products with counts are exact, and BLAS multiplies them."""
    return [mask.astype(np.float64) for mask in masks]


def _ranking(scores: Floats) -> tuple[Ints | slice, Ints]:
    """Return the order by ascending score, and the start of each distinct score in it."""
    rising = bool((np.diff(scores) >= 0).all())
    order = slice(None) if rising else np.argsort(scores, kind="stable")
    return order, np.flatnonzero(np.diff(scores[order], prepend=-np.inf))


def _by_score(weights: Floats, positive: Flags, firsts: Ints) -> tuple[Floats, Floats]:
    """Return the number of positives and negatives per distinct score, (B, scores) each."""
    up = np.add.reduceat(weights * positive, firsts, axis=1)
    return up, np.add.reduceat(weights, firsts, axis=1) - up
