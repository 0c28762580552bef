"""Metrics compared with hand-computed values and scikit-learn, weighted and unweighted."""

import math
import re
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    fbeta_score,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
)

from core.metrics.calibration import calibration
from core.metrics.classification import (
    METRICS,
    estimates,
    label_metrics,
    metric_intervals,
    metrics,
    score_metrics,
    statistics,
)
from tests.live import ROOT

TARGET = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
SCORES = np.array([0.9, 0.8, 0.6, 0.2, 0.7, 0.5, 0.4, 0.3, 0.1, 0.05])
ROWS = st.lists(
    st.tuples(st.booleans(), st.floats(0, 1) | st.integers(0, 10).map(lambda n: n / 10)),
    min_size=2,
    max_size=80,
)


def scikit_learns(target: np.ndarray, scores: np.ndarray, flagged: np.ndarray) -> dict[str, float]:
    """Return scikit-learn's value of each metric that it has."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "recall": recall_score(target, flagged, zero_division=np.nan),
            "precision": precision_score(target, flagged, zero_division=np.nan),
            "f2": fbeta_score(target, flagged, beta=2) if target.any() else math.nan,
            "share_flagged": float(flagged.mean()),
            "accuracy": accuracy_score(target, flagged),
            "roc_auc": roc_auc_score(target, scores) if 0 < target.mean() < 1 else math.nan,
            "pr_auc": average_precision_score(target, scores) if target.any() else math.nan,
            "brier": brier_score_loss(target, scores, pos_label=1),
            "log_loss": log_loss(target, scores, labels=[0, 1]),
            "positive_rate": float(target.mean()),
        }


@settings(deadline=None)
@given(ROWS, st.floats(0, 1))
def test_metrics_equal_scikit_learns(rows: list[tuple[bool, float]], threshold: float) -> None:
    """Metrics equal scikit-learn's, or are undefined in both: with ties, one class, no flag."""
    target, scores = (np.array(column, float) for column in zip(*rows, strict=True))
    flagged = scores >= threshold
    found = metrics(target, scores, flagged)
    for name, value in scikit_learns(target.astype(int), scores, flagged).items():
        assert found[name] == pytest.approx(value, abs=1e-12, nan_ok=True), name
    compared = set(scikit_learns(target.astype(int), scores, flagged))
    assert set(found) - {"ece"} == compared, "a metric is compared here with its peer's"


@settings(deadline=None)
@given(ROWS, st.floats(0, 1), st.randoms())
def test_the_same_rows_judged_twice_do_not_change(
    rows: list[tuple[bool, float]], threshold: float, random: object
) -> None:
    """Training's value and monitoring's estimate are equal to the last bit, in any order of rows.

    ECE computed in two ways once gave differences of up to 0.07 on 60 unchanged rows.
    """
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    target, scores = (np.array(column, float) for column in zip(*rows, strict=True))
    if len(np.unique(target)) < 2:
        return
    before = score_metrics(target, scores, threshold)
    target, scores = (np.array(column, float) for column in zip(*shuffled, strict=True))
    now, _ = estimates(target, scores, scores >= threshold, resamples=2, seed=0, confidence=0.95)
    assert set(now) == set(before)
    for name, estimate in now.items():
        assert estimate.value is None or estimate.value - before[name] == 0.0, name


def test_a_resample_has_the_metrics_of_its_rows() -> None:
    """Metrics of weighted rows equal those of repeated rows, with zero weights and many ties."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, 150)
    scores = np.round(np.clip(0.3 * target + 0.7 * rng.random(150), 0, 1), 1)
    flagged = scores >= 0.5
    weights = rng.multinomial(150, np.full(150, 1 / 150), size=5)
    for name, statistic in statistics(target, scores, flagged).items():
        values = statistic(weights.astype(float))
        for value, counts in zip(values, weights, strict=True):
            rows = np.repeat(np.arange(150), counts)
            again = metrics(target[rows], scores[rows], flagged[rows])
            assert value == pytest.approx(again[name]), name


def test_calibration_error_by_hand_and_by_simulation() -> None:
    """Bins off by 0.1 and 0.35 give their row-weighted mean; calibrated scores give nearly 0."""

    def error(target: np.ndarray, scores: np.ndarray) -> float:
        return metrics(target, scores, scores >= 0.5)["ece"]

    scores = np.array([0.15] * 4 + [0.85] * 4)
    target = np.array([0, 0, 0, 1, 1, 1, 0, 0])
    assert error(target, scores) == pytest.approx((0.1 * 4 + 0.35 * 4) / 8)
    rng = np.random.default_rng(0)
    said = rng.random(100_000)
    assert error((rng.random(100_000) < said).astype(int), said) < 0.01
    assert error((rng.random(100_000) < said**2).astype(int), said) > 0.1
    assert error(np.array([1, 0]), np.array([1.0, 0.0])) == 0


@settings(deadline=None)
@given(ROWS)
def test_the_error_is_what_the_bins_show(rows: list[tuple[bool, float]]) -> None:
    """The ECE equals the row-weighted error of the bins in a report's table."""
    target, scores = (np.array(column, float) for column in zip(*rows, strict=True))
    bins = calibration(target.astype(int), scores)
    assert sum(b.n for b in bins) == len(rows)
    assert [b.mean_score for b in bins] == sorted(b.mean_score for b in bins)
    shown = sum(b.n * abs(b.positive_rate - b.mean_score) for b in bins) / len(rows)
    assert metrics(target, scores, scores >= 0.5)["ece"] == pytest.approx(shown, abs=1e-12)


def test_intervals_hold_the_metrics() -> None:
    """Each interval contains its metric, which is computed on all rows."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, 150)
    scores = np.round(np.clip(0.3 * target + 0.7 * rng.random(150), 0, 1), 1)
    expected = score_metrics(target, scores, 0.5)
    intervals = metric_intervals(target, scores, 0.5, 0)
    assert set(intervals) == set(expected) - {"ece"}
    for name, interval in intervals.items():
        assert interval.value == expected[name]
        assert interval.low < interval.value < interval.high, name


def test_an_interval_of_roc_auc_covers_the_truth() -> None:
    """Normal scores one sd apart have the AUC Φ(1/√2); most of 40 intervals (95 %) cover it."""
    from scipy.stats import norm

    truth, covered = norm.cdf(1 / np.sqrt(2)), 0
    rng = np.random.default_rng(1)
    for seed in range(40):
        target = np.repeat([0, 1], 60)
        scores = norm.cdf(rng.normal(target, 1.0))
        found = metric_intervals(target, scores, 0.5, seed)["roc_auc"]
        covered += found.low <= truth <= found.high
    assert covered >= 34


def test_what_the_rows_do_not_define_has_no_interval() -> None:
    """With no row flagged precision has no interval, and every other metric but ECE has one."""
    found = metric_intervals(TARGET, SCORES, 2.0, 0)
    assert set(metrics(TARGET, SCORES, SCORES >= 2.0)) - set(found) == {"ece", "precision"}


def test_metrics_of_flags_are_named() -> None:
    """Exactly the metrics marked `of_labels` change with the threshold."""
    low, high = metrics(TARGET, SCORES, SCORES >= 0.1), metrics(TARGET, SCORES, SCORES >= 0.6)
    assert {name for name in low if low[name] != high[name]} == {
        name for name, metric in METRICS.items() if metric.of_labels
    }


def test_label_metrics_by_hand() -> None:
    """Three of four positives found and one false positive give the expected ratios."""
    metrics = label_metrics(TARGET, SCORES >= 0.6)
    assert metrics["recall"] == 3 / 4
    assert metrics["precision"] == 3 / 4
    assert metrics["f2"] == pytest.approx(5 * 3 / (5 * 3 + 4 * 1 + 1))
    assert metrics["share_flagged"] == 4 / 10
    assert metrics["accuracy"] == 8 / 10


def test_nothing_flagged_and_nobody_at_risk_give_zero_not_an_error() -> None:
    """Precision without flags and recall without positives are 0."""
    assert label_metrics(TARGET, np.zeros(10, bool))["precision"] == 0
    assert label_metrics(np.zeros(10), np.ones(10, bool))["recall"] == 0


def test_score_metrics_by_hand() -> None:
    """ROC-AUC is the share of pairs in the right order: 24 pairs, 19 right."""
    metrics = score_metrics(TARGET, SCORES, 0.6)
    right = sum(a > b for a in SCORES[TARGET == 1] for b in SCORES[TARGET == 0])
    assert metrics["roc_auc"] == pytest.approx(right / 24)
    assert metrics["brier"] == pytest.approx(float(np.mean((SCORES - TARGET) ** 2)))


def test_no_other_room_asks_scikit_learn_for_a_metric() -> None:
    """No metric is imported from scikit-learn, so each has one definition; curves may be."""
    asking = re.compile(r"\w+_score\b|brier_score_loss|log_loss")
    for package in ("core", "mlflow_project", "monitoring", "serving"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text("utf-8")
            imported = re.findall(r"from sklearn\.metrics import (.+)", text)
            assert not [names for names in imported if asking.search(names)], path
            assert 'scoring="' not in text, path


def test_one_class_is_an_error() -> None:
    """Score metrics of rows with one class raise ValueError instead of returning a number."""
    with pytest.raises(ValueError, match="one class"):
        score_metrics(np.ones(5), np.linspace(0, 1, 5), 0.5)
