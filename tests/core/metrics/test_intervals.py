"""Weighted areas against scikit-learn on the resampled rows themselves."""

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from core.metrics.classification import score_metrics
from core.metrics.intervals import metric_intervals, pr_auc_of, roc_auc_of

RNG = np.random.default_rng(0)
TARGET = RNG.integers(0, 2, 150)
SCORES = np.round(np.clip(0.3 * TARGET + 0.7 * RNG.random(150), 0, 1), 1)


def test_areas_of_a_resample_are_those_of_its_rows() -> None:
    """Rows counted twice, or not at all, and many ties: equal to scikit-learn on the rows."""
    weights = RNG.multinomial(150, np.full(150, 1 / 150), size=5)
    roc, pr = roc_auc_of(TARGET, SCORES)(weights), pr_auc_of(TARGET, SCORES)(weights)
    for i, counts in enumerate(weights):
        rows = np.repeat(np.arange(150), counts)
        np.testing.assert_allclose(roc[i], roc_auc_score(TARGET[rows], SCORES[rows]))
        np.testing.assert_allclose(pr[i], average_precision_score(TARGET[rows], SCORES[rows]))


def test_intervals_hold_the_metrics_of_the_report() -> None:
    """The value of each is the metric of all rows, and lies inside its interval."""
    metrics = score_metrics(TARGET, SCORES, 0.5)
    intervals = metric_intervals(TARGET, SCORES, 0.5, 0)
    assert set(intervals) < set(metrics)
    for name, interval in intervals.items():
        np.testing.assert_allclose(interval.value, metrics[name])
        assert interval.low < interval.value < interval.high, name


def test_an_interval_of_roc_auc_covers_the_truth() -> None:
    """Normal scores one sd apart have the area Φ(1/√2); about 95 % of the intervals cover it."""
    from scipy.stats import norm

    truth, covered = norm.cdf(1 / np.sqrt(2)), 0
    rng = np.random.default_rng(1)
    for seed in range(40):
        target = np.repeat([0, 1], 60)
        found = metric_intervals(target, rng.normal(target, 1.0), 0.5, seed)["roc_auc"]
        covered += found.low <= truth <= found.high
    assert covered >= 34
