"""Effect size and significance of drift between two vectors of bin counts. Pure arithmetic.

Every function takes counts of the same bins in a reference (`expected`, N rows) and in a window
(`actual`, n rows). `docs/drift-statistics.md` explains why each was chosen and how it behaves.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import special

from core.metrics.resampling import Floats

Counts = npt.NDArray[np.int64]

PSEUDO_COUNT = 0.5
"""Added to each bin of both samples: the value that cancels the first-order bias of a log count
(Haldane 1956, Anscombe 1956), and keeps the logarithm finite for an empty bin."""

MIN_EXPECTED = 5.0
"""Bins are joined until this many rows of the smaller sample are expected in each: Cochran's rule
for the chi-square approximation (Biometrics 10, 1954)."""

_EXACT_UP_TO = 100.0
_NOVELTY_TERMS = 2000


def psi(expected: Counts, actual: Counts, pseudo_count: float = PSEUDO_COUNT) -> float:
    """Return the population stability index, Σ (p - q) ln(p / q), of two count vectors.

    p and q are shares after `pseudo_count` was added to each bin that either sample occupies.
    Identical counts give exactly 0. Formula: Yurdakul (2018), eq. 1.

    Raises:
        ValueError: the vectors differ in length, or one of them counts no rows.
    """
    x, y = _occupied(expected, actual)
    p = (x + pseudo_count) / (x.sum() + pseudo_count * len(x))
    q = (y + pseudo_count) / (y.sum() + pseudo_count * len(y))
    return float(((p - q) * np.log(p / q)).sum())


def expected_psi(expected: Counts, actual: Counts) -> float:
    """Return the mean of `psi` over two samples of these sizes from one distribution.

    That distribution is the pooled one. For large counts the result is Yurdakul's
    (B - 1)(1/N + 1/n); for small ones, where that approximation fails, each bin's binomial is
    summed: E[(p - q)(ln p - ln q)] = Cov(p, ln p) + Cov(q, ln q) + (Ep - Eq)(E ln p - E ln q).
    """
    x, y = _occupied(expected, actual)
    share = (x + y) / (x.sum() + y.sum())
    mean, log_mean, covariance = [], [], 0.0
    for size in (int(x.sum()), int(y.sum())):
        scale = size + PSEUDO_COUNT * len(share)
        logs, covariances = _log_moments(size, share)
        mean.append((size * share + PSEUDO_COUNT) / scale)
        log_mean.append(logs - np.log(scale))
        covariance += float(covariances.sum()) / scale
    return covariance + float(((mean[0] - mean[1]) * (log_mean[0] - log_mean[1])).sum())


def shape_p_value(expected: Counts, actual: Counts) -> float:
    """Return the p-value of Pearson's chi-square test of equal bin shares in both samples.

    Neighbouring bins are joined up to `MIN_EXPECTED`, by the pooled counts only, which the test
    conditions on. The p-value is 1 if a single bin is left.
    """
    x, y = _joined(expected, actual)
    if len(x) < 2:
        return 1.0
    size_x, size_y = x.sum(), y.sum()
    statistic = ((x * size_y - y * size_x) ** 2 / ((x + y) * size_x * size_y)).sum()
    return float(special.chdtrc(len(x) - 1, statistic))


def location_p_value(expected: Counts, actual: Counts) -> float:
    """Return the two-sided p-value of Wilcoxon's rank-sum test on counts of ordered bins.

    Rows of one bin are ties and share their midrank; the normal approximation uses the variance
    given the ties (Lehmann, Nonparametrics, 1975, §1.4). It detects a shift with far fewer rows
    than the chi-square test does.
    """
    pooled = (expected + actual).astype(np.float64)
    total, n_expected, n_actual = pooled.sum(), float(expected.sum()), float(actual.sum())
    if n_expected == 0 or n_actual == 0:
        return 1.0
    rank = np.cumsum(pooled) - pooled / 2
    mean = (pooled * rank).sum() / total
    variance = (pooled * (rank - mean) ** 2).sum() / (total - 1) * n_expected / (total * n_actual)
    if variance <= 0:
        return 1.0
    z = ((actual * rank).sum() / n_actual - mean) / np.sqrt(variance)
    return float(special.erfc(abs(z) / np.sqrt(2)))


def novelty_p_value(novel: int, n_actual: int, n_expected: int, margin: int) -> float:
    """Return P(at least `novel` of `n_actual` rows fall where the reference had no row).

    Under no drift the share of such rows is Beta(margin, n_expected + 1 - margin): exactly so for
    values beyond the extremes of a continuous reference, with one margin per side (Wilks 1941);
    for unseen categories a margin of 1 + those seen once is Turing's estimate (Good 1953). The
    number is then beta-binomial. An upper bound is returned beyond 2,000 novel rows.
    """
    b = n_expected + 1 - margin
    if novel <= 0 or margin <= 0 or b <= 0:
        return 1.0
    k = np.arange(min(novel, _NOVELTY_TERMS), dtype=np.float64)
    log_odds = special.betaln(k + margin, n_actual - k + b) - special.betaln(margin, b)
    log_pmf = _log_choose(n_actual, k) + log_odds
    return float(np.clip(1.0 - np.exp(log_pmf).sum(), 0.0, 1.0))


def rate_p_value(hits_expected: int, n_expected: int, hits_actual: int, n_actual: int) -> float:
    """Return the p-value that two rates are equal: Fisher's exact test, twice its smaller tail.

    Where more than 100 rows are expected in every cell, the normal approximation is used instead.
    """
    hits, total = hits_expected + hits_actual, n_expected + n_actual
    if hits in (0, total) or n_expected == 0 or n_actual == 0:
        return 1.0
    mean = n_actual * hits / total
    variance = mean * n_expected * (total - hits) / (total * (total - 1))
    if min(n_actual, n_expected) * min(hits, total - hits) / total > _EXACT_UP_TO:
        z = max(abs(hits_actual - mean) - 0.5, 0.0) / np.sqrt(variance)
        return float(special.erfc(z / np.sqrt(2)))
    k = np.arange(max(0, hits - n_expected), min(hits, n_actual) + 1, dtype=np.float64)
    log_pmf = _log_choose(n_actual, k) + _log_choose(n_expected, hits - k)
    pmf = np.exp(log_pmf - log_pmf.max())
    pmf /= pmf.sum()
    tail = min(pmf[k <= hits_actual].sum(), pmf[k >= hits_actual].sum())
    return float(min(1.0, 2 * tail))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted so that rejecting those ≤ α has a family-wise error ≤ α.

    Holm's step-down procedure (1979), valid under any dependence between the tests.
    """
    order = np.argsort(p_values, kind="stable")
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    for step, index in enumerate(order):
        highest = max(highest, (len(p_values) - step) * float(p_values[index]))
        adjusted[index] = min(1.0, highest)
    return adjusted


def rows_needed(
    n_expected: int, tests: int, alpha: float, shift: float, power: float
) -> int | None:
    """Return how many rows show a shift of a normal column with the given power, or None.

    The rank-sum test of the column, one of up to three in it, must pass Holm's first step among
    `tests`. Its mean under a shift of `shift` standard deviations is shift √(3/π) √(nN/(n+N)), 3/π
    being Wilcoxon's efficiency beside the t-test (Lehmann, Nonparametrics, 1975, §2.4). None:
    the reference has too few rows for any window.
    """
    least = -special.ndtri(alpha / (2 * 3 * tests)) + special.ndtri(power)
    harmonic = (least / shift) ** 2 * np.pi / 3
    if n_expected <= harmonic:
        return None
    return int(np.ceil(harmonic * n_expected / (n_expected - harmonic)))


def _occupied(expected: Counts, actual: Counts) -> tuple[Floats, Floats]:
    """Return both vectors as floats without the bins that are empty in both."""
    if len(expected) != len(actual):
        raise ValueError(f"{len(expected)} bins against {len(actual)}")
    if expected.sum() <= 0 or actual.sum() <= 0:
        raise ValueError("both samples must count at least one row")
    keep = (expected + actual) > 0
    return expected[keep].astype(np.float64), actual[keep].astype(np.float64)


def _joined(expected: Counts, actual: Counts) -> tuple[Floats, Floats]:
    """Join neighbouring bins until each expects `MIN_EXPECTED` rows of the smaller sample."""
    sizes = int(expected.sum()), int(actual.sum())
    share = min(sizes) / sum(sizes)
    groups: list[list[int]] = []
    x = y = 0
    for in_expected, in_actual in zip(expected.tolist(), actual.tolist(), strict=True):
        x, y = x + in_expected, y + in_actual
        if (x + y) * share >= MIN_EXPECTED:
            groups.append([x, y])
            x = y = 0
    if groups:
        groups[-1] = [groups[-1][0] + x, groups[-1][1] + y]
    joined = np.array(groups, dtype=np.float64).reshape(-1, 2)
    return joined[:, 0], joined[:, 1]


def _log_moments(size: int, share: Floats) -> tuple[Floats, Floats]:
    """Return E ln(X + s) and Cov(X, ln(X + s)) of X ~ Binomial(size, share), one per bin.

    s is `PSEUDO_COUNT`. Summed exactly up to a mean of 100; above, by a Taylor series to the fourth
    moment.
    """
    mean = size * share
    shifted, variance = mean + PSEUDO_COUNT, mean * (1 - share)
    third = variance * (1 - 2 * share)
    logs = np.log(shifted) - variance / (2 * shifted**2) + third / (3 * shifted**3)
    logs -= 3 * variance**2 / (4 * shifted**4)
    covariance = variance / shifted - third / (2 * shifted**2) + variance**2 / shifted**3
    small = np.flatnonzero(mean <= _EXACT_UP_TO)
    if len(small):
        top = mean[small].max()
        k = np.arange(min(size, int(top + 10 * np.sqrt(top) + 20)) + 1, dtype=np.float64)
        rate = share[small, None]
        log_pmf = _log_choose(size, k) + special.xlogy(k, rate) + special.xlog1py(size - k, -rate)
        pmf, log_k = np.exp(log_pmf), np.log(k + PSEUDO_COUNT)
        logs[small] = pmf @ log_k
        covariance[small] = ((k - mean[small, None]) * pmf) @ log_k
    return logs, covariance


def _log_choose(n: int, k: Floats) -> Floats:
    """Return ln of the binomial coefficients."""
    result: Floats = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    return result
