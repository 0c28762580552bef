"""Metrics against hand-counted answers; the threshold policy at its borders."""

import numpy as np
import pytest

from mlflow_project.evaluate import ThresholdPolicy, label_metrics, score_metrics

TARGET = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
SCORES = np.array([0.9, 0.8, 0.6, 0.2, 0.7, 0.5, 0.4, 0.3, 0.1, 0.05])


def test_label_metrics_by_hand() -> None:
    """Three of four found with one false alarm: the ratios follow from the counts."""
    metrics = label_metrics(TARGET, SCORES >= 0.6)
    assert metrics["recall"] == 3 / 4
    assert metrics["precision"] == 3 / 4
    assert metrics["f2"] == pytest.approx(5 * 3 / (5 * 3 + 4 * 1 + 1))
    assert metrics["share_flagged"] == 4 / 10
    assert metrics["accuracy"] == 8 / 10


def test_nothing_flagged_and_nobody_at_risk_give_zero_not_an_error() -> None:
    """Empty denominators are 0."""
    assert label_metrics(TARGET, np.zeros(10, bool))["precision"] == 0
    assert label_metrics(np.zeros(10), np.ones(10, bool))["recall"] == 0


def test_score_metrics_by_hand() -> None:
    """ROC-AUC is the share of pairs in the right order: 24 pairs, 19 right."""
    metrics = score_metrics(TARGET, SCORES, 0.6)
    right = sum(a > b for a in SCORES[TARGET == 1] for b in SCORES[TARGET == 0])
    assert metrics["roc_auc"] == pytest.approx(right / 24)
    assert metrics["brier"] == pytest.approx(float(np.mean((SCORES - TARGET) ** 2)))


def test_one_class_is_an_error() -> None:
    """A window with one class has no ROC-AUC; that is said, not returned as a number."""
    with pytest.raises(ValueError, match="one class"):
        score_metrics(np.ones(5), np.linspace(0, 1, 5), 0.5)


def test_threshold_reaches_the_recall_with_the_fewest_flags() -> None:
    """The highest score that still finds three of four."""
    assert ThresholdPolicy(0.75, 1.0).choose(TARGET, SCORES) == (0.6, "min_recall")


def test_threshold_falls_back_to_f2_within_the_capacity() -> None:
    """Recall 1.0 needs nine flags; with capacity for four, the best F2 of those is taken."""
    threshold, rule = ThresholdPolicy(1.0, 0.4).choose(TARGET, SCORES)
    assert rule == "best_f2"
    allowed = [t for t in SCORES if (t <= SCORES).mean() <= 0.4]
    best = max((label_metrics(TARGET, t <= SCORES)["f2"], t) for t in allowed)
    assert threshold == best[1]


def test_impossible_capacity_says_how_close_it_came() -> None:
    """When even the strictest threshold flags too many, the error names its share."""
    with pytest.raises(ValueError, match="flags 50%"):
        ThresholdPolicy(0.9, 0.1).choose(np.array([1, 0]), np.array([0.7, 0.3]))


@pytest.mark.parametrize("values", [(0.0, 0.5), (1.1, 0.5), (0.5, float("nan"))])
def test_policy_refuses_shares_outside_its_range(values: tuple[float, float]) -> None:
    """A policy is checked when it is made."""
    with pytest.raises(ValueError, match="must lie"):
        ThresholdPolicy(*values)
