"""Metrics by group: computed on the group's rows, small groups pooled without names."""

import numpy as np
import pytest

from core.messages import _
from core.metrics.classification import metrics
from monitoring.performance.groups import OTHERS, by_group, named
from monitoring.performance.policy import PerformancePolicy
from monitoring.performance.verdict import assess

POLICY = PerformancePolicy(resamples=400)


def drawn(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw labels, calibrated scores and flags, (n,) each."""
    rng = np.random.default_rng(n)
    score = rng.random(n)
    return (rng.random(n) < score).astype(int), score, (score >= 0.4).astype(int)


def test_a_group_has_the_metrics_of_its_rows() -> None:
    """A group's metrics equal those of its rows alone, and lie within their intervals."""
    target, score, flag = drawn(200)
    values = ["a", "b"] * 100
    first, second = by_group((target, score, flag), values, POLICY)
    assert (first.name, second.name) == ("a", "b")
    alone = metrics(target[::2], score[::2], flag[::2])
    for name, found in first.metrics.items():
        assert found.value == pytest.approx(alone[name])
    recall = first.metrics["recall"]
    assert recall.low < recall.value < recall.high
    assert first.n_positive + second.n_positive == target.sum()


def test_a_perfect_small_group_is_not_certain() -> None:
    """A recall of 10 of 10 has the interval 0.72 to 1."""
    ones, values = np.ones(10, dtype=int), ["a"] * 10
    (part,) = by_group((ones, np.linspace(0.5, 1, 10), ones), values, POLICY)
    recall = part.metrics["recall"]
    assert (recall.value, recall.high) == pytest.approx((1, 1))
    assert recall.low == pytest.approx(0.7225, abs=1e-4)


def test_small_groups_are_together_and_not_named() -> None:
    """Groups of nine rows, which might identify persons, are pooled as `outros`."""
    values = ["a"] * 82 + ["zoe"] * 9 + ["ana"] * 9
    parts = by_group(drawn(100), values, POLICY)
    assert [(part.name, part.n_rows) for part in parts] == [("a", 82), (_(OTHERS), 18)]
    assert parts[1].metrics["recall"].value is not None


def test_too_few_others_are_only_counted() -> None:
    """Nine pooled rows are counted, without metrics or number of positives."""
    parts = by_group(drawn(100), ["a"] * 91 + ["zoe"] * 9, POLICY)
    assert (parts[1].n_rows, parts[1].n_positive, parts[1].metrics) == (9, None, {})


def test_groups_do_not_touch_the_verdict() -> None:
    """Groups do not change status or metrics; the JSON has each column's groups."""
    target, score, flag = drawn(300)
    test = {"recall": 0.7, "roc_auc": 0.8}
    months = ["2025-03"] * 300
    plain = assess(target, score, flag, months, test, policy=POLICY)
    groups = {"site": ["x"] * 150 + ["y"] * 150}
    found = assess(target, score, flag, months, test, groups=groups, policy=POLICY)
    assert found.status == plain.status
    assert found.metrics == plain.metrics
    parts = found.to_dict()["by_group"]["site"]
    assert [(part["value"], part["n_rows"]) for part in parts] == [("x", 150), ("y", 150)]


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "ausente"),
        ("", "ausente"),
        (float("nan"), "ausente"),
        (True, "sim"),
        (3.0, "3"),
        ("x", "x"),
    ],
)
def test_values_as_a_report_names_them(value: object, name: str) -> None:
    """Missing values of any kind are one group; a whole number is shown without decimals."""
    assert named(value) == name
