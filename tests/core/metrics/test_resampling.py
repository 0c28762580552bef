"""Intervals compared with theory and simulation."""

import numpy as np
import pytest

from core.metrics.classification import f2_of, recall_of
from core.metrics.resampling import Interval, bootstrap, difference, wilson


def test_a_model_does_not_differ_from_itself() -> None:
    """The difference of a model from itself has an interval of width zero."""
    target = np.array([0, 1, 1, 0, 1] * 20)
    flagged = np.array([True, True, False, False, True] * 20)
    same = bootstrap(difference(f2_of(target, flagged), f2_of(target, flagged)), 100, 0)
    assert same == Interval(0.0, 0.0, 0.0)


def test_the_interval_of_a_proportion_is_the_textbooks() -> None:
    """A recall of 0.8 on 400 positives has the interval value ± 1.96 sqrt(p q / n)."""
    target = np.ones(400, int)
    found = bootstrap(recall_of(target, np.arange(400) < 320), 400, 0)
    half = 1.96 * np.sqrt(0.8 * 0.2 / 400)
    assert found.value == 0.8
    assert found.low == pytest.approx(0.8 - half, abs=0.006)
    assert found.high == pytest.approx(0.8 + half, abs=0.006)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """A true difference of 0.1 in recall lies in 95 % of the intervals (± 3.5 points)."""
    rng = np.random.default_rng(1)
    held = 0
    for seed in range(200):
        target = (rng.random(300) < 0.5).astype(int)
        first, second = rng.random(300) < 0.85, rng.random(300) < 0.75
        found = bootstrap(
            difference(recall_of(target, first), recall_of(target, second)), 300, seed
        )
        held += found.low <= 0.1 <= found.high
    assert 0.915 <= held / 200 <= 0.985


def test_an_undefined_statistic_is_an_error() -> None:
    """Recall without positives, and any statistic without rows, raises ValueError."""
    with pytest.raises(ValueError, match="undefined"):
        bootstrap(recall_of(np.zeros(5, int), np.ones(5, bool)), 5, 0)
    with pytest.raises(ValueError, match="at least one row"):
        bootstrap(recall_of(np.zeros(0, int), np.zeros(0, bool)), 0, 0)


def test_wilson_against_its_known_value() -> None:
    """Ten of a hundred: 5.52 % to 17.44 % (Newcombe 1998); none of ten: at most 27.8 %."""
    found = wilson(10, 100)
    assert (found.low, found.high) == pytest.approx((0.0552, 0.1744), abs=1e-4)
    assert wilson(0, 10).high == pytest.approx(0.2775, abs=1e-4)
