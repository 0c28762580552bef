"""Drift statistics: hand-computed values, invariants and calibration."""

import math

import numpy as np
import pytest

from monitoring.drift import stats
from monitoring.drift.policy import DriftPolicy


def counts(*values: int) -> np.ndarray:
    """Return counts as an int64 array."""
    return np.array(values, dtype=np.int64)


def test_psi_by_hand() -> None:
    """Without pseudo-counts, 50/50 against 80/20 is 0.3 ln 1.6 + 0.3 ln 2.5."""
    value = stats.psi(counts(50, 50), counts(80, 20), pseudo_count=0.0)
    assert value == pytest.approx(0.3 * math.log(1.6) + 0.3 * math.log(2.5))


def test_psi_with_pseudo_counts_by_hand() -> None:
    """With half a row added to each bin, an empty bin gives the finite hand-computed value."""
    p, q = np.array([10.5, 0.5]) / 11, np.array([5.5, 5.5]) / 11
    assert stats.psi(counts(10, 0), counts(5, 5)) == pytest.approx(((p - q) * np.log(p / q)).sum())


def test_psi_ignores_bins_that_both_leave_empty() -> None:
    """A bin that is empty on both sides does not change PSI."""
    assert stats.psi(counts(30, 0, 70), counts(20, 0, 10)) == stats.psi(
        counts(30, 70), counts(20, 10)
    )


def test_identical_counts_are_exactly_zero() -> None:
    """Identical counts have PSI 0 and p-values of 1."""
    same = counts(5, 0, 70, 3, 11)
    assert stats.psi(same, same) == 0.0
    assert stats.shape_p_value(same, same) == 1.0
    assert stats.location_p_value(same, same) == pytest.approx(1.0)
    assert stats.rate_p_value(7, 50, 7, 50) == 1.0


def test_psi_is_symmetric_in_equal_samples() -> None:
    """PSI, the symmetric Jeffreys divergence, is unchanged if the sides are swapped."""
    x, y = counts(10, 20, 30), counts(30, 20, 10)
    assert stats.psi(x, y) == pytest.approx(stats.psi(y, x))


@pytest.mark.parametrize("sizes", [(765, 5), (765, 30), (765, 100), (50, 2000), (10**5, 10**6)])
def test_expected_psi_is_the_mean_of_psi(sizes: tuple[int, int]) -> None:
    """The closed form equals the average of simulated PSI, sparse bins included."""
    rng = np.random.default_rng(1)
    share = np.array([0.3, 0.25, 0.2, 0.15, 0.06, 0.03, 0.01])
    pairs = [tuple(rng.multinomial(n, share) for n in sizes) for _ in range(2000)]
    drawn = [stats.psi(*pair) for pair in pairs]
    foreseen = [stats.expected_psi(*pair) for pair in pairs[:100]]
    error = np.std(drawn) / math.sqrt(len(drawn))
    assert np.mean(foreseen) == pytest.approx(np.mean(drawn), abs=4 * error, rel=0.03)


def test_expected_psi_of_large_samples_is_yurdakuls() -> None:
    """With many rows per bin expected PSI is (B - 1)(1/N + 1/n), as Yurdakul derived."""
    x, y = counts(*[10_000] * 8), counts(*[5_000] * 8)
    assert stats.expected_psi(x, y) == pytest.approx(7 * (1 / 80_000 + 1 / 40_000), rel=0.01)


def test_taylor_series_continues_the_exact_sum() -> None:
    """The exact sum and the Taylor series agree where one replaces the other."""
    below, above = counts(100, 100, 9800), counts(101, 101, 9798)
    first, second = stats.expected_psi(below, below), stats.expected_psi(above, above)
    assert first == pytest.approx(second, rel=2e-3)


@pytest.mark.parametrize(
    ("x", "y"), [(counts(1, 2), counts(1, 2, 3)), (counts(0, 0), counts(1, 2))]
)
def test_psi_refuses_what_cannot_be_compared(x: np.ndarray, y: np.ndarray) -> None:
    """Different bins, or a side without rows, raise ValueError."""
    with pytest.raises(ValueError, match=r"bins|row"):
        stats.psi(x, y)


def test_p_values_are_calibrated() -> None:
    """Without drift at most about 5 % and 1 % of p-values are below 5 % and 1 %."""
    rng = np.random.default_rng(2)
    share = np.array([0.02, 0.1, 0.18, 0.2, 0.2, 0.15, 0.1, 0.05])
    for n in (30, 60, 200):
        pairs = [(rng.multinomial(765, share), rng.multinomial(n, share)) for _ in range(4000)]
        shape = np.array([stats.shape_p_value(*pair) for pair in pairs])
        location = np.array([stats.location_p_value(*pair) for pair in pairs])
        rate = np.array([stats.rate_p_value(int(x[0]), 765, int(y[0]), n) for x, y in pairs])
        for p_values in (shape, location, rate):
            assert (p_values <= 0.05).mean() <= 0.065
            assert (p_values <= 0.01).mean() <= 0.018
        assert (location <= 0.05).mean() >= 0.035


def test_shape_test_by_hand() -> None:
    """A 2 x 2 table has the p-value of Pearson's chi-square without continuity correction."""
    # 100 (30 + 70) against 100 (50 + 50): chi-square = 200 (30*50 - 70*50)^2 / (100^2 80 120).
    statistic = 200 * (30 * 50 - 70 * 50) ** 2 / (100 * 100 * 80 * 120)
    expected = math.erfc(math.sqrt(statistic / 2))
    assert stats.shape_p_value(counts(30, 70), counts(50, 50)) == pytest.approx(expected)


def test_location_test_needs_order_not_distance() -> None:
    """Mirrored bins have the same p-value, and a shift has a lower one than a symmetric spread."""
    x, shifted, spread = counts(20, 60, 20), counts(5, 60, 35), counts(35, 30, 35)
    assert stats.location_p_value(x, shifted) == pytest.approx(
        stats.location_p_value(x[::-1], shifted[::-1])
    )
    assert stats.location_p_value(x, shifted) < 0.01 < stats.location_p_value(x, spread)


def test_novelty_is_exact_for_a_continuous_reference() -> None:
    """One new row beyond the extremes of N rows has P = 1 - N(N-1)/((N+1)N)."""
    assert stats.novelty_p_value(1, 1, 99, 2) == pytest.approx(2 / 100)
    assert stats.novelty_p_value(0, 50, 765, 2) == 1.0
    assert stats.novelty_p_value(5, 50, 765, 2) < 1e-4


def test_rate_test_by_hand() -> None:
    """A small table has Fisher's exact p-value, a large one its normal approximation."""
    # All 3 hits among the 3 rows of the window, of 6 in all: P = 1 / C(6, 3), twice.
    assert stats.rate_p_value(0, 3, 3, 3) == pytest.approx(2 / 20)
    exact_like = stats.rate_p_value(990, 9900, 110, 1000)
    assert 0.2 < exact_like < 0.5
    assert stats.rate_p_value(1000, 10**6, 1500, 10**6) < 1e-12
    assert stats.rate_p_value(0, 100, 0, 100) == 1.0


def test_holm_by_hand() -> None:
    """Holm's correction multiplies the smallest by m, the next by m - 1, and is monotonic."""
    assert stats.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert stats.holm([]) == []
    assert stats.holm([0.9, 0.8]) == [1.0, 1.0]


@pytest.mark.parametrize(
    "change",
    [
        {"psi_warning": 0.3},
        {"missing_delta_alert": 0.01},
        {"significance_alert": 0.5},
        {"psi_alert": math.nan},
        {"significance_warning": 1.5},
        {"psi_warning": -0.1},
    ],
)
def test_policy_refuses_thresholds_that_contradict(change: dict[str, float]) -> None:
    """An alert limit easier to reach than its warning, or one out of range, raises ValueError."""
    with pytest.raises(ValueError, match="|".join(change) + "|significance"):
        DriftPolicy(**change)
