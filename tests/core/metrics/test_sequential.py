"""Sequential evidence (e-values): the error bound at any look, and the power."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import binom

from core.metrics.sequential import log_evidence, trials_share


@pytest.mark.parametrize(
    ("k", "n", "most"), [(0, 0, 0.1), (3, 4, 0.1), (5, 90, 0.2), (30, 40, 0.5)]
)
def test_it_is_the_integral(k: int, n: int, most: float) -> None:
    """The closed form is the average of likelihood ratios over all greater probabilities."""

    def ratio(p: float) -> float:
        return math.exp(k * math.log(p / most) + (n - k) * math.log((1 - p) / (1 - most)))

    expected = quad(ratio, most, 1 - 1e-12)[0] / (1 - most)
    assert log_evidence(k, n, most) == pytest.approx(math.log(expected), abs=1e-6)


def test_nothing_seen_says_nothing_and_numbers_stay_finite() -> None:
    """No trials give an e-value of 1; the evidence of a million trials is finite."""
    assert log_evidence(0, 0, 0.1) == pytest.approx(0)
    assert log_evidence(0, 1_000_000, 0.5) < -100
    assert 1000 < log_evidence(500_000, 1_000_000, 0.1) < math.inf


def test_a_mean_factor_is_at_most_one() -> None:
    """For any true probability up to the bound the expected e-value is at most 1, at any n."""
    for most in (0.05, 0.14, 0.5):
        for true in (most, 0.9 * most, 0.2 * most):
            for n in (1, 5, 40):
                k = np.arange(n + 1)
                values = np.exp([log_evidence(int(one), n, most) for one in k])
                assert float(binom.pmf(k, n, true) @ values) <= 1 + 1e-9


def ever_stops(rng: np.random.Generator, true: float, most: float, n: int, alpha: float) -> bool:
    """Return whether a test evaluated after each trial ever finds `true` to be above `most`."""
    k = np.cumsum(rng.random(n) < true)
    # Evidence can reach the limit only where the observed share is above the bound.
    looks = np.flatnonzero(k > most * np.arange(1, n + 1))
    return any(log_evidence(int(k[i]), int(i) + 1, most) >= -math.log(alpha) for i in looks)


def test_false_stops_stay_below_their_bound_at_any_look() -> None:
    """Of 300 tests at α = 0.05, evaluated after each of 500 trials, few enough reject falsely."""
    rng = np.random.default_rng(7)
    stops = sum(ever_stops(rng, 0.2, 0.2, 500, 0.05) for _ in range(300))
    assert stops <= binom.ppf(0.999, 300, 0.05)


def test_what_is_worse_is_found() -> None:
    """A ratio of 4 against a bound of 1.5 is detected within 500 events in 49 of 50 tests."""
    rng = np.random.default_rng(8)
    most = trials_share(0.1, 1.5)
    stops = sum(ever_stops(rng, trials_share(0.1, 4.0), most, 500, 0.0002) for _ in range(50))
    assert stops >= 49


def test_the_share_of_events_follows_from_the_share_of_trials() -> None:
    """The share of events equals that of trials at ratio 1, and tends to 1 for large ratios."""
    assert trials_share(0.1, 1.0) == pytest.approx(0.1)
    assert trials_share(0.5, 3.0) == pytest.approx(0.75)
    assert trials_share(0.1, 1e9) == pytest.approx(1.0)
