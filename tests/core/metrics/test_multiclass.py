"""Multiclass metrics equal scikit-learn's."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, log_loss, precision_score, recall_score

from core.metrics.multiclass import estimates, statistics
from core.metrics.resampling import values_of

CLASSES = 4
ROWS = st.lists(st.tuples(*[st.integers(0, CLASSES - 1)] * 2), min_size=1, max_size=40)


@given(ROWS, st.integers(0, 2**16))
@settings(deadline=None)
def test_metrics_are_those_of_scikit_learn(rows: list[tuple[int, int]], seed: int) -> None:
    """Metrics equal scikit-learn's, also where classes are missing in targets or predictions."""
    target, answered = np.array(rows).T
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(CLASSES), len(rows))
    found = values_of(statistics(target, answered, CLASSES, probabilities), len(rows))
    assert found["accuracy"] == pytest.approx(accuracy_score(target, answered))
    expected = f1_score(target, answered, average="macro", zero_division=0)
    assert found["macro_f1"] == pytest.approx(expected)
    expected = log_loss(target, probabilities, labels=range(CLASSES))
    assert found["log_loss"] == pytest.approx(expected)
    options = {"labels": range(CLASSES), "average": None, "zero_division": np.nan}
    for name, score in (("recall", recall_score), ("precision", precision_score)):
        for one, value in enumerate(score(target, answered, **options)):
            assert found[f"{name}.{one}"] == pytest.approx(value, nan_ok=True)


def test_a_weight_of_two_is_the_row_twice() -> None:
    """In every statistic a row of weight two counts as the row twice."""
    rng = np.random.default_rng(0)
    target, answered = rng.integers(0, CLASSES, (2, 30))
    counts = rng.integers(0, 3, 30)
    twice = statistics(np.repeat(target, counts), np.repeat(answered, counts), CLASSES)
    repeated = values_of(twice, int(counts.sum()))
    for name, statistic in statistics(target, answered, CLASSES).items():
        (found,) = statistic(counts[None, :].astype(float))
        assert found == pytest.approx(repeated[name], nan_ok=True), name


def test_the_same_rows_judged_twice_do_not_change() -> None:
    """Estimates are equal to the last bit for any order of rows."""
    rng, settled = np.random.default_rng(5), {"resamples": 2, "seed": 0, "confidence": 0.9}
    for rows in (2, 7, 60, 999):
        target, answered = rng.integers(0, CLASSES, (2, rows))
        chances, order = rng.dirichlet(np.ones(CLASSES), rows), rng.permutation(rows)
        judged = [
            estimates(target[i], answered[i], CLASSES, chances[i], **settled)
            for i in (np.arange(rows), order)
        ]
        assert str(judged[0][0]) == str(judged[1][0])


def test_without_probabilities_there_is_no_log_loss() -> None:
    """Log loss is absent without probabilities; other estimates lie in their intervals."""
    rng = np.random.default_rng(1)
    target = rng.integers(0, 3, 200)
    answered = np.where(rng.random(200) < 0.8, target, 0)
    found, samples = estimates(target, answered, 3, resamples=200, seed=0, confidence=0.95)
    assert "log_loss" not in found
    for estimate in found.values():
        assert estimate.value is not None
        assert not math.isnan(estimate.value)
        assert (estimate.low or 0) <= estimate.value <= (estimate.high or 1)
    assert found.keys() == samples.keys()
