"""The threshold policy at its limits, and the trade-off curve that it selects from."""

import numpy as np
import pytest

from core.metrics.classification import label_metrics
from mlflow_project.gate.criteria import GatePolicy
from mlflow_project.modelling.threshold import (
    CAPACITY,
    PolicyUnmetError,
    ThresholdPolicy,
    thinned,
    trade_off,
    within_capacity,
)

TARGET = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
SCORES = np.array([0.9, 0.8, 0.6, 0.2, 0.7, 0.5, 0.4, 0.3, 0.1, 0.05])


def test_threshold_is_the_best_f_beta_within_the_capacity() -> None:
    """The threshold of the best F2 within the capacity is chosen, or of all without a capacity."""
    policy = ThresholdPolicy(0.5, floor_recall=0.5, base_rate=0.4)
    allowed = [t for t in SCORES if (t <= SCORES).mean() <= 0.5]
    best = max((label_metrics(TARGET, t <= SCORES)["f2"], t) for t in allowed)
    assert policy.choose(TARGET, SCORES) == best[1]
    best = max((label_metrics(TARGET, t <= SCORES)["f2"], t) for t in SCORES)
    assert ThresholdPolicy(1.0).choose(TARGET, SCORES) == best[1]


def test_an_unmet_policy_says_how_close_it_came() -> None:
    """The error states the best recall within the capacity, and the share that would suffice."""
    policy = ThresholdPolicy(0.2, floor_recall=0.7, base_rate=0.4)
    with pytest.raises(PolicyUnmetError, match=r"melhor recall é 0,50.*sinalizaria 40 %"):
        policy.choose(TARGET, SCORES)
    with pytest.raises(PolicyUnmetError, match="sinalizando 0 %"):
        ThresholdPolicy(0.1).choose(np.array([1, 0]), np.array([0.7, 0.7]))


def test_capacity_is_counted_at_the_planned_base_rate() -> None:
    """Planned shares depend on true and false positive rates, not on the sample's base rate."""
    rng = np.random.default_rng(3)
    target = rng.integers(0, 2, 400)
    scores = np.round(0.4 * target + 0.6 * rng.random(400), 3)
    many = np.concatenate([np.flatnonzero(target == 1).repeat(3), np.flatnonzero(target == 0)])
    first = trade_off(target, scores)
    again = trade_off(target[many], scores[many])
    np.testing.assert_allclose(again["share_planned"], first["share_planned"])
    assert again["share_flagged"][50] > first["share_flagged"][50]
    chosen = ThresholdPolicy(0.5, floor_recall=0.3).choose(target, scores)
    assert first["share_planned"][first["threshold"] == chosen][0] <= 0.5


def test_trade_off_is_what_each_threshold_does() -> None:
    """Each row of the curve equals the metrics of flags at its threshold, with ties."""
    target = np.array([1, 0, 1, 0, 1, 0])
    scores = np.array([0.9, 0.5, 0.5, 0.5, 0.2, 0.1])
    curve = trade_off(target, scores)
    assert curve["threshold"].tolist() == [0.9, 0.5, 0.2, 0.1]
    for i, threshold in enumerate(curve["threshold"]):
        metrics = label_metrics(target, scores >= threshold)
        for name in ("recall", "precision", "share_flagged"):
            assert curve[name][i] == pytest.approx(metrics[name])
        assert curve["f_beta"][i] == pytest.approx(metrics["f2"])
    rows = thinned(curve, 2)
    assert [row["threshold"] for row in rows] == [0.9, 0.1]


def test_a_threshold_is_raised_to_the_capacity_of_the_newest_year() -> None:
    """It is raised as little as needed, never lowered, and not if more than the capacity lag."""
    scores = np.array([0.9, 0.8, 0.7, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])
    few, many = np.repeat([1, 0], 5), np.repeat([1, 0], [8, 2])
    assert within_capacity(0.25, few, scores, 0.6) == 0.5
    rare = np.repeat([1, 0], [2, 8])
    assert (scores >= within_capacity(0.25, rare, scores, 0.3)).mean() == 0.2, "ties go together"
    assert within_capacity(0.75, few, scores, 0.6) == 0.75
    assert within_capacity(0.25, many, scores, 0.6) == 0.25
    assert within_capacity(0.05, few, scores, 1.0) == 0.05


def test_gate_and_threshold_go_by_one_capacity() -> None:
    """Threshold policy and gate policy use the same capacity."""
    assert ThresholdPolicy().max_share_flagged == CAPACITY == GatePolicy().max_share_flagged


@pytest.mark.parametrize("values", [(0.0, 0.5), (1.1, 0.5), (0.5, float("nan"))])
def test_policy_refuses_shares_outside_its_range(values: tuple[float, float]) -> None:
    """A share outside its range raises ValueError on construction."""
    with pytest.raises(ValueError, match="must lie"):
        ThresholdPolicy(*values)
