"""Metrics of subsets of the labelled rows: per month, and per value of a column. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from core.messages import N_, _, decimal
from core.metrics.resampling import Estimate, Floats
from monitoring.performance.policy import PerformancePolicy
from monitoring.performance.yardsticks import OF_SCORE, Array, Yardstick

Labelled = tuple[Array, Floats, Array]
"""Target, score and flag of the same rows, shape (n,) each."""
SEED = 20_240_501
"""Seed of the bootstrap: the same rows give the same intervals."""
OTHERS = N_("others")
"""Name of the part that pools values with too few rows."""
ABSENT = N_("missing")
"""Name of the part of the rows without a value."""


@dataclass(frozen=True, slots=True)
class Part:
    """A subset of the rows with the metrics defined on it; none if it is too small to show."""

    name: str
    n_rows: int
    n_positive: int | None
    metrics: Mapping[str, Estimate]

    def to_dict(self, key: str) -> dict[str, Any]:
        """Return plain data; the name is under `key`."""
        data = asdict(self)
        return {key: data.pop("name"), **data}


def by_name(
    rows: Labelled, names: Sequence[str], policy: PerformancePolicy, yardstick: Yardstick = OF_SCORE
) -> tuple[Part, ...]:
    """Return one part per distinct name, sorted; `names` holds one for each row."""
    labels = np.asarray(names)
    resamples = max(1, policy.resamples_of(len(labels)) // 4)
    found = []
    for name in np.unique(labels):
        target, score, flag = (column[labels == name] for column in rows)
        metrics, _ = yardstick.measure(
            target, score, flag, resamples=resamples, seed=SEED, confidence=policy.confidence
        )
        metrics = {**metrics, **yardstick.shares(target, flag)}
        positive = None if yardstick.kind else int(target.sum())
        found.append(Part(str(name), len(target), positive, metrics))
    return tuple(found)


def by_group(
    rows: Labelled,
    values: Sequence[str],
    policy: PerformancePolicy,
    yardstick: Yardstick = OF_SCORE,
) -> tuple[Part, ...]:
    """Return one part per value of a column; values with few rows are pooled.

    A value with fewer than `policy.min_group_rows` rows could identify a person: it is not named,
    and if the pooled rows are too few as well, only their number is reported.
    """
    counted = Counter(values)
    others = _(OTHERS)
    names = [v if counted[v] >= policy.min_group_rows else others for v in values]
    parts = by_name(rows, names, policy, yardstick)
    shown = sorted(parts, key=lambda part: part.name == others)
    return tuple(
        part if part.n_rows >= policy.min_group_rows else Part(part.name, part.n_rows, None, {})
        for part in shown
    )


def named(value: Any) -> str:
    """Return the display text of a column's value."""
    if value is None or value != value or value == "":
        return _(ABSENT)
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, float):
        return decimal(value)
    return str(value)
