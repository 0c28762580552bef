"""The performance verdict by simulation, and the coverage of its intervals."""

import json

import numpy as np
import pytest

from core.metrics.classification import estimates, metrics, score_metrics
from monitoring.performance.policy import PerformancePolicy
from monitoring.performance.verdict import PerformanceResult, assess

QUICK = PerformancePolicy(resamples=400)


def drawn(seed: int, n: int, slope: float = 3.0, digits: int = 6) -> tuple[np.ndarray, ...]:
    """Draw labels, calibrated scores and flags, (n,); a higher `slope` separates better."""
    rng = np.random.default_rng(seed)
    score = np.round(1 / (1 + np.exp(-slope * rng.normal(size=n))), digits)
    return (rng.random(n) < score).astype(int), score, (score >= 0.4).astype(int)


def test_one_class_has_no_roc() -> None:
    """With one class ROC-AUC is None and the status NO_DATA; the JSON has no NaN."""
    ones = np.ones(40, dtype=int)
    result = assess(ones, np.linspace(0, 1, 40), ones, ["2025-01"] * 40, {"roc_auc": 0.9})
    assert result.status == "NO_DATA"
    assert result.metrics["roc_auc"].value is None
    assert result.metrics["recall"].value == 1
    json.dumps(result.to_dict(), allow_nan=False)


def test_the_same_rows_give_the_same_intervals() -> None:
    """Bootstrap intervals are seeded and independent of the order of the rows."""
    rows = drawn(4, 150)
    settings = {"resamples": 200, "seed": 7, "confidence": 0.95}
    first, samples = estimates(*rows, **settings)
    again, others = estimates(*(column[::-1] for column in rows), **settings)
    assert first == again
    assert all(np.array_equal(samples[name], others[name]) for name in samples)
    area = first["roc_auc"]
    assert area.low < area.value < area.high


def test_the_versions_own_test_judged_again_has_not_changed() -> None:
    """On the rows of the version's own test every change is exactly 0."""
    target, score, flag = drawn(3, 60, digits=2)
    own = score_metrics(target[::-1], score[::-1], 0.4)
    result = assess(target, score, flag, ["2025-01"] * 60, own, policy=QUICK)
    changes = {name: found.change for name, found in result.against_test.items()}
    assert set(changes) == set(own)
    assert set(changes.values()) == {0.0}
    assert result.status == "OK"


def test_intervals_cover_what_they_promise() -> None:
    """In at least 89 % of 150 samples of 200 rows the 95 % intervals cover the true metrics."""
    truth = metrics(*drawn(0, 1_000_000))
    held = dict.fromkeys(("recall", "roc_auc", "brier"), 0)
    for seed in range(150):
        found, _ = estimates(*drawn(seed + 1, 200), resamples=200, seed=seed, confidence=0.95)
        for name in held:
            estimate = found[name]
            assert estimate.low is not None
            assert estimate.high is not None
            held[name] += estimate.low <= truth[name] <= estimate.high
    assert all(count >= 0.89 * 150 for count in held.values()), held


def judged(seed: int, n: int, test: dict[str, float], slope: float = 3.0) -> PerformanceResult:
    """Return the assessment of `n` rows drawn with this slope."""
    return assess(*drawn(seed, n, slope), ["2025-01"] * n, test, policy=QUICK)


@pytest.fixture(scope="module")
def own_test() -> dict[str, float]:
    """Return the metrics of a very large test of the rows drawn with slope 3."""
    return metrics(*drawn(0, 400_000))


@pytest.mark.parametrize("n", [40, 150])
def test_no_alarm_where_nothing_changed(n: int, own_test: dict[str, float]) -> None:
    """Without a change at most 3 % of reports are DEGRADED."""
    verdicts = [judged(seed, n, own_test).status for seed in range(1, 101)]
    assert verdicts.count("DEGRADED") <= 0.03 * 100


def test_an_alarm_where_the_model_fails(own_test: dict[str, float]) -> None:
    """Scores that hardly separate are DEGRADED in at least 28 of 30 reports of 200 labels."""
    found = [judged(seed, 200, own_test, slope=1.0) for seed in range(1, 31)]
    assert sum(result.status == "DEGRADED" for result in found) >= 28
    assert "roc_auc" in found[0].degraded()


def test_a_small_test_is_not_taken_for_the_truth() -> None:
    """A true loss just within the limit, after a test of 80 rows, is DEGRADED in at most 5 %.

    With the test's metrics taken as exact it was 20 % (docs/performance.md).
    """
    wrong = 0
    for seed in range(100):
        tested, now = drawn(10_000 + seed, 80), drawn(seed + 1, 400, 2.2)
        months = ["2025-01"] * 400
        found = assess(*now, months, metrics(*tested), tested=tested, policy=QUICK)
        wrong += found.status == "DEGRADED"
    assert wrong <= 5


def test_a_loss_that_chance_explains_is_ok(own_test: dict[str, float]) -> None:
    """A recall below the allowed loss is not degraded if its interval is not wholly below."""
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
    """Too few labels or no test metrics give NO_DATA with a reason, and metrics."""
    result = judged(5, n, test)
    assert result.status == "NO_DATA"
    assert result.reason is not None
    assert words in result.reason
    assert result.metrics["roc_auc"].value is not None


def test_other_thresholds_leave_the_flags_uncompared(own_test: dict[str, float]) -> None:
    """Under another threshold recall is not compared with the test, but ROC-AUC is."""
    months = ["2025-01"] * 100
    result = assess(*drawn(6, 100), months, own_test, same_threshold=False, policy=QUICK)
    assert "recall" in result.metrics
    assert "recall" not in result.against_test
    assert result.against_test["roc_auc"].allowed is not None


def test_months_add_up() -> None:
    """Rows and positives are counted by month."""
    months = ["2025-01"] * 30 + ["2025-02"] * 70
    result = assess(*drawn(7, 100), months, {}, policy=QUICK)
    assert [(m.name, m.n_rows) for m in result.months] == [("2025-01", 30), ("2025-02", 70)]
    assert sum(m.n_positive for m in result.months) == result.n_positive


@pytest.mark.parametrize("change", [{"error": 0.0}, {"max_f2_loss": 1.5}, {"min_rows": 0}])
def test_a_policy_that_cannot_hold_is_refused(change: dict[str, float]) -> None:
    """Shares outside (0, 1) and counts below 1 raise ValueError."""
    with pytest.raises(ValueError, match=next(iter(change))):
        PerformancePolicy(**change)  # type: ignore[arg-type]
