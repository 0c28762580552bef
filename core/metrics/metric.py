"""A metric of a kind of answers: how it is computed, and what people call it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core.metrics.resampling import Statistic


@dataclass(frozen=True, slots=True)
class Metric:
    """One line of a table of metrics; who trains, monitors or shows a model reads it there.

    Attributes:
        of: takes outcomes and answers, arrays of n rows, and returns the statistic.
        title: what people call it, marked for the catalogue; without one it is not shown to them.
        meaning: what it says, in a few words, likewise.
        of_labels: whether the answers are labels (flags, classes), and not scores: such a metric
            changes with the threshold.
    """

    of: Callable[[Any, Any], Statistic]
    title: str = ""
    meaning: str = ""
    of_labels: bool = False


def statistics_of(
    metrics: Mapping[str, Metric], target: Any, *, scores: Any = None, labels: Any = None
) -> dict[str, Statistic]:
    """Return by name the metrics of the answers that there are, as statistics."""
    answers = {True: labels, False: scores}
    return {
        name: metric.of(target, answers[metric.of_labels])
        for name, metric in metrics.items()
        if answers[metric.of_labels] is not None
    }
