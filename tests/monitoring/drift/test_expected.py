"""Expected performance without labels, compared with observed performance by simulation."""

import json

import numpy as np
import pyarrow as pa
import pytest

from core.metrics.classification import metrics
from core.metrics.expected import ExpectedPerformance, promised
from monitoring.drift.expected import ScoreTally

METRICS = ("recall", "precision", "f2", "roc_auc", "positive_rate")


def scores(seed: int, n: int, level: float = 0.0) -> np.ndarray:
    """Draw scores around `level` on the logit scale, (n,)."""
    rng = np.random.default_rng([seed, n])
    return 1 / (1 + np.exp(-(level + 2 * rng.normal(size=n))))


def labels(chance: np.ndarray, seed: int) -> np.ndarray:
    """Draw labels that are 1 with these probabilities."""
    return (np.random.default_rng(seed).random(len(chance)) < chance).astype(int)


def expected(score: np.ndarray, threshold: float = 0.4) -> ExpectedPerformance:
    """Return the estimate from scores added in batches of uneven size."""
    tally = ScoreTally()
    for part in np.array_split(score, 7):
        tally.add(part, (part >= threshold).astype(int))
    found = tally.estimate()
    assert found is not None
    return found


def shown(target: np.ndarray, score: np.ndarray, threshold: float = 0.4) -> dict[str, float]:
    """Return the metrics observed with labels."""
    return metrics(target, score, score >= threshold)


@pytest.mark.parametrize("level", [-2.0, 0.0, 1.0])
def test_calibrated_scores_foretell_what_labels_show(level: float) -> None:
    """With calibrated scores every metric of 40,000 rows is within 0.015, at any level."""
    score = scores(1, 40_000, level)
    found, truth = expected(score), shown(labels(score, 2), score)
    for name in METRICS:
        assert getattr(found, name).value == pytest.approx(truth[name], abs=0.015), name
    assert found.share_flagged == pytest.approx(truth["share_flagged"])


def test_the_intervals_hold_what_labels_show() -> None:
    """In 300 windows of 120 rows about 95 % of the observed metrics lie in their intervals."""
    inside = dict.fromkeys(("recall", "precision", "f2"), 0)
    for seed in range(300):
        score = scores(seed, 120)
        found, truth = expected(score), shown(labels(score, seed + 1000), score)
        for name in inside:
            estimate = getattr(found, name)
            inside[name] += estimate.low <= truth[name] <= estimate.high
    assert all(0.91 <= count / 300 <= 0.99 for count in inside.values()), inside


def test_scores_that_no_longer_mean_what_they_say_deceive_it() -> None:
    """The documented limit: if scores lose calibration, the estimate is too good."""
    score = scores(3, 40_000)
    # Label 1 now has a probability far from the score: 0.62 at 0.9, and 0.38 at 0.1.
    chance = 0.5 + 0.3 * (score - 0.5)
    found, truth = expected(score), shown(labels(chance, 4), score)
    assert found.roc_auc.value is not None
    assert found.roc_auc.value - truth["roc_auc"] > 0.2
    assert found.recall.value is not None
    assert found.recall.value - truth["recall"] > 0.15


def test_roc_auc_of_a_tally_equals_that_of_all_pairs() -> None:
    """ROC-AUC from binned scores differs from the exact value by less than 0.0005."""
    score = scores(5, 500)
    chance, other = score[:, None], score[None, :]
    pairs = chance * (1 - other)
    order = (chance > other) + 0.5 * (chance == other)
    exact = (pairs * order).sum() / pairs.sum()
    # Both count a row's pair with itself as half.
    assert expected(score).roc_auc.value == pytest.approx(exact, abs=5e-4)


def test_certain_scores_are_exact() -> None:
    """Scores of 0 and 1 give exact metrics, with intervals of no width."""
    found = expected(np.repeat([0.0, 0.0, 1.0, 1.0, 1.0], 8))
    for name in ("recall", "precision", "f2", "roc_auc"):
        assert getattr(found, name).value == 1.0
    assert (found.recall.low, found.recall.high) == (1.0, 1.0)
    assert found.positive_rate.value == pytest.approx(0.6)


def test_what_is_not_defined_is_none() -> None:
    """Undefined metrics are None, and the JSON has no NaN."""
    assert ScoreTally().estimate() is None
    nobody = expected(np.zeros(40))
    assert nobody.precision.value is None
    assert nobody.recall.value is None
    assert nobody.roc_auc.value is None
    json.dumps(nobody.to_dict(), allow_nan=False)


def test_rows_without_score_or_flag_are_passed_on_uncounted() -> None:
    """`watch` passes batches on unchanged and counts only rows with score and flag."""
    batch = pa.record_batch({"score": [0.9, None, 0.2], "label": [1, 0, None], "x": [1, 2, 3]})
    tally = ScoreTally()
    assert list(tally.watch([batch] * 30)) == [batch] * 30
    found = tally.estimate()
    assert found is not None
    assert found.n_rows == 30


def test_no_performance_is_foretold_of_a_handful() -> None:
    """Fewer than 30 rows give no estimate."""
    score = scores(4, 30)
    tally = ScoreTally()
    tally.add(score[:29], np.ones(29, dtype=int))
    assert tally.estimate() is None
    tally.add(score[29:], np.ones(1, dtype=int))
    assert tally.estimate() is not None


def year_change(target: np.ndarray, score: np.ndarray) -> dict[str, float]:
    """Return observed minus expected metrics, as training logs them."""
    truth = shown(target, score)
    return {name: truth[name] - value for name, value in promised(score, score >= 0.4).items()}


def test_what_was_wrong_before_widens_what_is_foretold() -> None:
    """Widened by the errors of one window, the intervals cover the next one's metrics."""
    score = scores(5, 2000)
    meant = np.clip(score * 0.7, 0, 1)
    outcomes = (np.random.default_rng(6).random(2000) < meant).astype(int)
    errors = year_change(outcomes, score)
    assert errors["precision"] < -0.1
    later = scores(7, 2000)
    truth = shown((np.random.default_rng(8).random(2000) < later * 0.7).astype(int), later)
    found = expected(later)
    assert not found.precision.low <= truth["precision"] <= found.precision.high
    wider = found.widened(errors)
    for name in ("recall", "precision", "f2", "positive_rate"):
        estimate = getattr(wider, name)
        assert estimate.low - 0.02 <= truth[name] <= estimate.high + 0.02, name


def test_no_error_where_nothing_changed() -> None:
    """With calibrated scores observed and expected metrics differ by less than 0.015."""
    score = scores(9, 40_000)
    assert max(map(abs, year_change(labels(score, 10), score).values())) < 0.015
