"""Metrics of multi-class predictions; each is a statistic of weighted rows.

Classes are indices, 0 to k − 1. Definitions as scikit-learn's; a metric is NaN for a class without
the rows or predictions that define it, and a mean over classes excludes it.
"""

from collections.abc import Mapping

import numpy as np

from core.messages import N_
from core.metrics.classification import precision_of, recall_of, share_of
from core.metrics.metric import Metric, statistics_of
from core.metrics.resampling import (
    Estimate,
    Floats,
    Ints,
    Statistic,
    estimated,
    log_loss_of,
    ratio,
)


def macro_f1_of(target: Ints, answered: Ints) -> Statistic:
    """Return the mean of 2 TP / (2 TP + FP + FN) over the classes that occur, as a statistic."""
    present = np.union1d(target, answered)
    parts = [
        (
            ((target == one) & (answered == one)).astype(np.float64),
            (target == one).astype(np.float64) + (answered == one),
        )
        for one in present
    ]

    def f1(weights: Floats) -> Floats:
        each = np.stack([ratio(2 * (weights @ hits), weights @ whole) for hits, whole in parts])
        defined = np.isfinite(each)
        return ratio(np.where(defined, each, 0.0).sum(axis=0), defined.sum(axis=0).astype(float))

    return f1


METRICS: Mapping[str, Metric] = {
    "accuracy": Metric(
        lambda target, answered: share_of(target == answered), N_("Accuracy"), of_labels=True
    ),
    "macro_f1": Metric(
        macro_f1_of,
        N_("Macro F1"),
        N_("mean over the classes of recall and precision together"),
        of_labels=True,
    ),
    "log_loss": Metric(
        lambda target, chances: log_loss_of(chances[np.arange(len(target)), target]),
        N_("Log loss"),
        N_("how surprising the outcomes are to the probabilities; lower is better"),
    ),
}
"""Metrics of all classes, in display order."""


def two_of(scores: Floats) -> Floats | None:
    """Return the probabilities of two classes, (n, 2), from scores that are those of the second.

    None for a model without probabilities, whose scores are class values, whole numbers.
    """
    if not bool(((scores >= 0) & (scores <= 1)).all() and (scores % 1 > 0).any()):
        return None
    return np.column_stack([1 - scores, scores])


def statistics(
    target: Ints, answered: Ints, classes: int, probabilities: Floats | None = None
) -> dict[str, Statistic]:
    """Return every metric as a statistic, by name: `recall.0` is that of the first class.

    Args:
        target: observed classes, as indices, shape (n,).
        answered: predicted classes, likewise.
        classes: k, the number of classes.
        probabilities: of each class, shape (n, k); without them there is no log loss.
    """
    found = statistics_of(METRICS, target, scores=probabilities, labels=answered)
    for one in range(classes):
        is_one = (target == one).astype(np.int64)
        found[f"recall.{one}"] = recall_of(is_one, answered == one)
        found[f"precision.{one}"] = precision_of(is_one, answered == one)
    return found


def estimates(
    target: Ints,
    answered: Ints,
    classes: int,
    probabilities: Floats | None = None,
    *,
    resamples: int,
    seed: int,
    confidence: float,
) -> tuple[dict[str, Estimate], dict[str, Floats]]:
    """Return every metric with its interval, and the bootstrap samples behind the intervals."""
    # In a canonical order, so that sums do not depend on the input order.
    keys = () if probabilities is None else tuple(probabilities.T)
    order = np.lexsort((*keys, answered, target))
    chances = None if probabilities is None else probabilities[order]
    found = statistics(target[order], answered[order], classes, chances)
    return estimated(found, len(target), resamples, seed, confidence)
