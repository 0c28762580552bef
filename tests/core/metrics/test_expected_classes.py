"""Expected multiclass performance before outcomes, compared with the realised one."""

import json

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss, precision_score, recall_score

from core.metrics.expected_classes import ClassScores, ExpectedClasses


def drawn(seed: int, n: int, classes: int = 4) -> np.ndarray:
    """Draw probabilities of classes, shape (n, classes)."""
    logits = np.random.default_rng([seed, n]).normal(0, 1.5, (n, classes)) - np.arange(classes) / 4
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def outcomes(chance: np.ndarray, seed: int) -> np.ndarray:
    """Draw a class per row with its probabilities."""
    draw = np.random.default_rng(seed).random((len(chance), 1))
    return np.minimum((np.cumsum(chance, axis=1) < draw).sum(axis=1), chance.shape[1] - 1)


def expected(chance: np.ndarray, parts: int = 7) -> ExpectedClasses:
    """Return the estimate from parts of the rows, summed separately and merged."""
    total = ClassScores(chance.shape[1])
    for part in np.array_split(chance, parts):
        tally = ClassScores(chance.shape[1])
        tally.add(part, part.argmax(axis=1))
        total.merge(tally)
    found = total.estimate()
    assert found is not None
    return found


def test_calibrated_probabilities_foretell_what_outcomes_show() -> None:
    """On 40,000 calibrated rows each estimate is within 0.02 of the realised metric."""
    chance = drawn(1, 40_000)
    target, answered = outcomes(chance, 2), chance.argmax(axis=1)
    found = {name: each.value for name, each in expected(chance).estimates().items()}
    assert found["accuracy"] == pytest.approx((target == answered).mean(), abs=0.01)
    assert found["log_loss"] == pytest.approx(log_loss(target, chance), abs=0.02)
    truth = f1_score(target, answered, average="macro")
    assert found["macro_f1"] == pytest.approx(truth, abs=0.02)
    recalls = recall_score(target, answered, average=None)
    precisions = precision_score(target, answered, average=None)
    for place in range(4):
        assert found[f"recall.{place}"] == pytest.approx(recalls[place], abs=0.02)
        assert found[f"precision.{place}"] == pytest.approx(precisions[place], abs=0.02)


def test_the_intervals_hold_what_outcomes_show() -> None:
    """In 300 windows of 150 rows about 95 % of the realised metrics lie in their intervals."""
    inside = {"accuracy": 0, "log_loss": 0, "recall.0": 0, "precision.0": 0}
    for seed in range(300):
        chance = drawn(seed, 150, 3)
        target, answered = outcomes(chance, seed + 1000), chance.argmax(axis=1)
        hit = (target == 0) & (answered == 0)
        truth = {
            "accuracy": (target == answered).mean(),
            "log_loss": -np.log(chance[np.arange(150), target]).mean(),
            "recall.0": hit.sum() / (target == 0).sum(),
            "precision.0": hit.sum() / (answered == 0).sum(),
        }
        found = expected(chance, 1).estimates()
        for name, value in truth.items():
            low, high = found[name].low, found[name].high
            assert low is not None and high is not None
            inside[name] += low <= value <= high
    assert all(0.91 <= n / 300 <= 0.99 for n in inside.values()), inside


def test_the_same_rows_twice_change_nothing_but_the_certainty() -> None:
    """Duplicated rows keep the values and narrow the intervals; order and parts have no effect."""
    chance = drawn(3, 500)
    once, twice = expected(chance, 1), expected(np.concatenate([chance, chance]), 1)
    for name, one in once.estimates().items():
        two = twice.estimates()[name]
        assert one.value == pytest.approx(two.value, abs=1e-12), name
        if one.low is not None and one.high is not None:
            assert two.low is not None and two.high is not None
            assert two.high - two.low < one.high - one.low
    parts = expected(chance[::-1], 9).estimates()
    assert parts["accuracy"].value == pytest.approx(once.estimates()["accuracy"].value, abs=1e-12)
    json.dumps(once.to_dict(), allow_nan=False)


def test_nothing_is_foretold_without_doubt_or_rows() -> None:
    """Probabilities of only 0 and 1, or 29 rows, give no estimate."""
    sure = np.eye(3)[np.arange(60) % 3]
    tally, few = ClassScores(3), ClassScores(3)
    tally.add(sure, sure.argmax(axis=1))
    assert tally.estimate() is None
    chance = drawn(4, 29, 3)
    few.add(chance, chance.argmax(axis=1))
    assert few.estimate() is None
