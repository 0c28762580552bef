"""Metrics against scikit-learn's, the bootstrap's coverage, and the verdict by simulation."""

import json

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    fbeta_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from core.metrics.resampled import Evaluation, interval, wilson
from monitoring.drift.policy import PerformancePolicy
from monitoring.performance.verdict import PerformanceResult, assess

QUICK = PerformancePolicy(resamples=400)


def drawn(seed: int, n: int, slope: float = 3.0, digits: int = 6) -> tuple[np.ndarray, ...]:
    """Draw labels, calibrated scores and flags; `slope` is how well they separate."""
    rng = np.random.default_rng(seed)
    score = np.round(1 / (1 + np.exp(-slope * rng.normal(size=n))), digits)
    return (rng.random(n) < score).astype(int), score, (score >= 0.4).astype(int)


@pytest.mark.parametrize("digits", [6, 1])
def test_metrics_equal_scikit_learns(digits: int) -> None:
    """Ties included: one decimal leaves eleven distinct scores."""
    target, score, flag = drawn(1, 300, digits=digits)
    found = {k: v[0] for k, v in Evaluation(target, score, flag).metrics().items()}
    expected = {
        "recall": recall_score(target, flag),
        "precision": precision_score(target, flag),
        "f2": fbeta_score(target, flag, beta=2),
        "roc_auc": roc_auc_score(target, score),
        "pr_auc": average_precision_score(target, score),
        "brier": brier_score_loss(target, score),
        "share_flagged": flag.mean(),
        "positive_rate": target.mean(),
    }
    assert {k: found[k] for k in expected} == pytest.approx(expected)


def test_weights_are_repeated_rows() -> None:
    """A row with weight 3 counts as three rows."""
    target, score, flag = drawn(2, 60, digits=1)
    rows = Evaluation(target, score, flag)
    weights = np.random.default_rng(0).integers(0, 4, 60)
    repeated = [np.repeat(values, weights) for values in (rows.target, rows.score, rows.flag)]
    expected = Evaluation(*repeated).metrics()
    for name, values in rows.metrics(weights[None, :]).items():
        if name != "ece":  # Its bins are those of the rows as they were.
            assert values[0] == pytest.approx(expected[name][0]), name


def test_calibration_bins_and_error() -> None:
    """Ten bins of like size from low to high; certain scores that are right have no error."""
    target, score, flag = drawn(3, 1000)
    bins = Evaluation(target, score, flag).calibration()
    assert [b.n for b in bins] == [100] * 10
    assert [b.mean_score for b in bins] == sorted(b.mean_score for b in bins)
    assert Evaluation(target, target.astype(float), target).metrics()["ece"][0] == 0
    wrong = Evaluation(target, 1.0 - target, target).metrics()
    assert wrong["ece"][0] == pytest.approx(1)
    assert sum(b.n for b in Evaluation(target[:3], score[:3], flag[:3]).calibration()) == 3


def test_one_class_has_no_roc() -> None:
    """What is not defined is None, never NaN, and the JSON is strict."""
    ones = np.ones(40, dtype=int)
    result = assess(ones, np.linspace(0, 1, 40), ones, ["2025-01"] * 40, {"roc_auc": 0.9})
    assert result.status == "NO_DATA"
    assert result.metrics["roc_auc"].value is None
    assert result.metrics["recall"].value == 1
    json.dumps(result.to_dict(), allow_nan=False)


def test_the_same_rows_give_the_same_intervals() -> None:
    """The bootstrap is seeded; its interval holds the estimate."""
    rows = Evaluation(*drawn(4, 150))
    first, second = rows.bootstrap(200, 7), rows.bootstrap(200, 7)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    low, high = interval(first["roc_auc"], 0.95)
    assert low is not None
    assert high is not None
    assert low < rows.metrics()["roc_auc"][0] < high


def test_intervals_cover_what_they_promise() -> None:
    """Over 150 samples of 200 rows, the 95 % interval of the recall holds the true one."""
    target, score, flag = drawn(0, 1_000_000)
    truth = {name: values[0] for name, values in Evaluation(target, score, flag).metrics().items()}
    held = dict.fromkeys(("recall", "roc_auc", "brier"), 0)
    for seed in range(150):
        samples = Evaluation(*drawn(seed + 1, 200)).bootstrap(200, seed)
        for name in held:
            low, high = interval(samples[name], 0.95)
            assert low is not None
            assert high is not None
            held[name] += low <= truth[name] <= high
    assert all(count >= 0.89 * 150 for count in held.values()), held


def judged(seed: int, n: int, test: dict[str, float], slope: float = 3.0) -> PerformanceResult:
    """Assess `n` rows drawn with this slope."""
    return assess(*drawn(seed, n, slope), ["2025-01"] * n, test, policy=QUICK)


@pytest.fixture(scope="module")
def own_test() -> dict[str, float]:
    """Return the metrics of a very large test of the rows drawn with slope 3."""
    return {k: float(v[0]) for k, v in Evaluation(*drawn(0, 400_000)).metrics().items()}


@pytest.mark.parametrize("n", [40, 150])
def test_no_alarm_where_nothing_changed(n: int, own_test: dict[str, float]) -> None:
    """Same model, same world: DEGRADED in at most 3 % of the reports."""
    verdicts = [judged(seed, n, own_test).status for seed in range(1, 101)]
    assert verdicts.count("DEGRADED") <= 0.03 * 100


def test_an_alarm_where_the_model_fails(own_test: dict[str, float]) -> None:
    """Scores that hardly separate any more: DEGRADED in nearly every report of 200 labels."""
    found = [judged(seed, 200, own_test, slope=1.0) for seed in range(1, 31)]
    assert sum(result.status == "DEGRADED" for result in found) >= 28
    assert "roc_auc" in found[0].degraded()


def test_a_loss_that_chance_explains_is_ok(own_test: dict[str, float]) -> None:
    """The estimate is below the allowed loss, its interval is not: OK."""
    test = {**own_test, "recall": own_test["recall"] + 0.02}
    chance = [
        result
        for result in (judged(seed, 60, test) for seed in range(1, 60))
        if (result.against_test["recall"].change or 0.0) < -QUICK.max_recall_loss
    ]
    assert chance
    assert all(not result.against_test["recall"].degraded for result in chance)


@pytest.mark.parametrize(
    ("n", "test", "words"),
    [(29, {"recall": 0.9}, "menos de 30"), (100, {}, "não guarda métricas de teste")],
)
def test_no_verdict_without_enough(n: int, test: dict[str, float], words: str) -> None:
    """Few labels, or nothing to compare with: NO_DATA with the reason, numbers are shown."""
    result = judged(5, n, test)
    assert result.status == "NO_DATA"
    assert result.reason is not None
    assert words in result.reason
    assert result.metrics["roc_auc"].value is not None


def test_other_thresholds_leave_the_flags_uncompared(own_test: dict[str, float]) -> None:
    """Answered under another threshold, recall and F2 say nothing about the model; ROC-AUC does."""
    months = ["2025-01"] * 100
    result = assess(*drawn(6, 100), months, own_test, same_threshold=False, policy=QUICK)
    assert "recall" in result.metrics
    assert "recall" not in result.against_test
    assert result.against_test["roc_auc"].allowed is not None


def test_months_add_up() -> None:
    """Each month has its own rows."""
    months = ["2025-01"] * 30 + ["2025-02"] * 70
    result = assess(*drawn(7, 100), months, {}, policy=QUICK)
    assert [(m.name, m.n_rows) for m in result.months] == [("2025-01", 30), ("2025-02", 70)]
    assert sum(m.n_positive for m in result.months) == result.n_positive


@pytest.mark.parametrize("change", [{"error": 0.0}, {"max_f2_loss": 1.5}, {"min_rows": 0}])
def test_a_policy_that_cannot_hold_is_refused(change: dict[str, float]) -> None:
    """Shares lie in (0, 1), counts are at least 1."""
    with pytest.raises(ValueError, match=next(iter(change))):
        PerformancePolicy(**change)  # type: ignore[arg-type]


def test_wilson_against_its_known_value() -> None:
    """Ten of a hundred: 5.52 % to 17.44 % (Newcombe 1998); none of ten ends at 27.8 %."""
    found = wilson(10, 100)
    assert (found.low, found.high) == pytest.approx((0.0552, 0.1744), abs=1e-4)
    assert wilson(0, 10).high == pytest.approx(0.2775, abs=1e-4)
