"""Regression metrics equal scikit-learn's, and intervals contain the true value."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from core.metrics.regression import bands, estimates, metrics, statistics

NUMBERS = st.floats(-1e3, 1e3, allow_nan=False).map(lambda x: round(x, 3))


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=40))
@settings(deadline=None)
def test_metrics_are_those_of_scikit_learn(rows: list[tuple[float, float]]) -> None:
    """Metrics equal scikit-learn's for any rows; R² is undefined where all outcomes are equal."""
    target, foretold = np.array(rows).T
    found = metrics(target, foretold)
    assert found["mae"] == pytest.approx(mean_absolute_error(target, foretold))
    assert found["rmse"] == pytest.approx(mean_squared_error(target, foretold) ** 0.5)
    assert found["bias"] == pytest.approx((foretold - target).mean(), abs=1e-9)
    if np.ptp(target) > 1e-2:
        expected = r2_score(target, foretold)
        assert found["r2"] == pytest.approx(expected, rel=1e-6, abs=1e-6)
    elif np.ptp(target) == 0:
        assert np.isnan(found["r2"]) or abs(found["r2"]) > 1e6


def test_a_weight_of_two_is_the_row_twice() -> None:
    """In every statistic a row of weight two counts as the row twice."""
    rng = np.random.default_rng(0)
    target, foretold = rng.normal(size=(2, 30))
    counts = rng.integers(0, 3, 30)
    repeated = metrics(np.repeat(target, counts), np.repeat(foretold, counts))
    for name, statistic in statistics(target, foretold).items():
        (found,) = statistic(counts[None, :].astype(float))
        assert found == pytest.approx(repeated[name]), name


@settings(deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=40), st.randoms())
def test_the_same_rows_judged_twice_do_not_change(
    rows: list[tuple[float, float]], random: Any
) -> None:
    """Metrics and estimates are equal to the last bit for any order of rows."""
    shuffled = list(rows)
    random.shuffle(shuffled)
    found = []
    for some in (rows, shuffled):
        target, foretold = (np.array(column, float) for column in zip(*some, strict=True))
        now, _ = estimates(target, foretold, resamples=2, seed=0, confidence=0.95)
        found.append((str(metrics(target, foretold)), str(now)))
    assert found[0] == found[1]


def test_bands_tell_where_the_bias_is() -> None:
    """A bias of high predictions shows in the upper bands only; every row is in one band."""
    foretold = np.random.default_rng(1).uniform(0, 100, 1000)
    target = np.where(foretold > np.quantile(foretold, 0.8), foretold - 10, foretold)
    found = bands(target, foretold)
    assert [band.n for band in found] == [100] * 10
    assert [round(band.bias) for band in found] == [0] * 8 + [10] * 2
    assert len(bands(target, np.ones(1000))) == 1
    assert bands(np.array([]), np.array([])) == []


def test_intervals_hold_the_value() -> None:
    """The interval contains the true MAE and narrows as the rows increase."""
    rng = np.random.default_rng(2)
    widths = []
    for rows in (50, 800):
        target = rng.normal(size=rows)
        foretold = target + rng.normal(size=rows)
        found, _ = estimates(target, foretold, resamples=300, seed=0, confidence=0.95)
        mae = found["mae"]
        assert mae.low is not None
        assert mae.high is not None
        assert mae.low < np.sqrt(2 / np.pi) < mae.high
        widths.append(mae.high - mae.low)
    assert widths[1] < widths[0] / 2
