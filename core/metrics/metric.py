"""A metric of a kind of predictions: its computation, and its display texts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core.metrics.resampling import Statistic


@dataclass(frozen=True, slots=True)
class Metric:
    """One entry of a table of metrics, which training, monitoring and pages share.

    Attributes:
        of: takes outcomes and predictions, arrays of n rows, and returns the statistic.
        title: display name, marked for the catalogue; a metric without one is not shown.
        meaning: short explanation, likewise.
        of_labels: whether the predictions are labels (flags, classes), and not scores: such a
            metric depends on the threshold.
    """

    of: Callable[[Any, Any], Statistic]
    title: str = ""
    meaning: str = ""
    of_labels: bool = False


def statistics_of(
    metrics: Mapping[str, Metric], target: Any, *, scores: Any = None, labels: Any = None
) -> dict[str, Statistic]:
    """Return by name, as statistics, the metrics whose predictions (scores or labels) are given."""
    answers = {True: labels, False: scores}
    return {
        name: metric.of(target, answers[metric.of_labels])
        for name, metric in metrics.items()
        if answers[metric.of_labels] is not None
    }
