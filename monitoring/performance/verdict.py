"""Evaluation of labelled rows against a version's own test metrics, with a verdict. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np

from core.contract.model import VALUE
from core.messages import _
from core.metrics.calibration import CalibrationBin, calibration
from core.metrics.classification import Rows
from core.metrics.regression import Band, bands
from core.metrics.resampling import Estimate, Floats, percentiles
from monitoring.performance.groups import SEED, Part, by_group, by_name
from monitoring.performance.policy import PerformancePolicy
from monitoring.performance.yardsticks import OF_SCORE, Array, Yardstick


class PerformanceStatus(StrEnum):
    """Verdict on a version by the actual outcomes of the rows it scored."""

    OK = "OK"
    DEGRADED = "DEGRADED"
    NO_DATA = "NO_DATA"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A metric against the version's own test.

    Attributes:
        test: value in the test; None where it was not logged, or is not comparable.
        change: current value minus `test`.
        allowed: largest change for the worse that is accepted, signed; None: not guarded.
        low, high: interval of `change` at the confidence of the verdict.
        degraded: whether that interval lies wholly beyond `allowed`.
    """

    test: float | None
    change: float | None = None
    allowed: float | None = None
    low: float | None = None
    high: float | None = None
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class PerformanceResult:
    """Verdict, and the metrics that it is based on.

    Attributes:
        reason: why there is no verdict; None where there is one.
        months, groups: the metrics by month of the prediction, and by each value of each requested
            column; the verdict does not use them.
        same_threshold: whether every row was answered at the threshold of the test.
        yardstick: metrics of the output's kind: score, value, or classes.
        guarded: metrics that decide the verdict, with the change that is accepted.
        n_positive: outcomes of 1; None where outcomes are not 0 or 1.
        calibration, bands: predictions against outcomes, in bins of scores, or of values.
    """

    status: PerformanceStatus
    reason: str | None
    n_rows: int
    n_positive: int | None
    same_threshold: bool
    policy: PerformancePolicy
    yardstick: Yardstick
    guarded: Mapping[str, float]
    metrics: Mapping[str, Estimate] = field(default_factory=dict)
    against_test: Mapping[str, Comparison] = field(default_factory=dict)
    calibration: tuple[CalibrationBin, ...] = ()
    months: tuple[Part, ...] = ()
    groups: Mapping[str, tuple[Part, ...]] = field(default_factory=dict)
    bands: tuple[Band, ...] = ()

    def degraded(self) -> list[str]:
        """Return the metrics whose interval lies wholly beyond the allowed change."""
        return [name for name, found in self.against_test.items() if found.degraded]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data without NaN, fit for JSON."""
        return {
            "performance_status": str(self.status),
            "reason": self.reason,
            "n_rows": self.n_rows,
            "n_positive": self.n_positive,
            "same_threshold": self.same_threshold,
            "metrics": {name: found.to_dict() for name, found in self.metrics.items()},
            "against_test": {name: asdict(found) for name, found in self.against_test.items()},
            "calibration": [asdict(found) for found in self.calibration],
            "classes": list(self.yardstick.classes),
            "bands": [{**asdict(band), "bias": band.bias} for band in self.bands],
            "by_month": [month.to_dict("month") for month in self.months],
            "by_group": {
                column: [part.to_dict("value") for part in parts]
                for column, parts in self.groups.items()
            },
            "policy": asdict(self.policy),
        }


def assess(
    target: Array,
    score: Floats,
    flag: Array,
    months: Sequence[str],
    test: Mapping[str, float],
    *,
    tested: Rows | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    same_threshold: bool = True,
    policy: PerformancePolicy | None = None,
    yardstick: Yardstick = OF_SCORE,
) -> PerformanceResult:
    """Measure labelled rows and compare them with the version's test.

    Args:
        target: labels, shape (n,): 0 or 1, a value, or the index of a class.
        score: scores in [0, 1], or predicted values, shape (n,); probabilities of classes, (n, k).
        flag: predicted flag, 0 or 1, or the index of a class, shape (n,).
        months: month of each prediction, for example `2025-03`; n of them.
        test: the version's test metrics by name, without prefix; absent ones are not compared.
        tested: the rows behind `test`; None treats its metrics as exact.
        groups: values of the columns to group by, by column; n of them each.
        same_threshold: False leaves the metrics of the flags out of the comparison.
        policy: criteria for DEGRADED.
        yardstick: metrics of the output's kind.
    """
    policy = policy or PerformancePolicy()
    allowed = yardstick.allowed(policy, test)
    result = PerformanceResult(
        status=PerformanceStatus.NO_DATA,
        reason=_("no outcome matches a prediction of the window"),
        n_rows=len(target),
        n_positive=None if yardstick.kind else int(target.sum()),
        same_threshold=same_threshold,
        policy=policy,
        yardstick=yardstick,
        guarded=allowed,
    )
    if not len(target):
        return result
    rows, resamples = (target, score, flag), policy.resamples_of(len(target))
    metrics, samples = yardstick.measure(
        *rows, resamples=resamples, seed=SEED, confidence=policy.confidence
    )
    before = _test_samples(tested, policy, yardstick)
    compared = {
        name: _compare(name, found, samples[name], before.get(name), test, allowed, policy)
        for name, found in metrics.items()
        if same_threshold or name not in yardstick.by_threshold
    }
    reason = _too_few(target, compared, policy, yardstick)
    if reason:
        status = PerformanceStatus.NO_DATA
    elif any(found.degraded for found in compared.values()):
        status = PerformanceStatus.DEGRADED
    else:
        status = PerformanceStatus.OK
    return replace(
        result,
        status=status,
        reason=reason,
        metrics=metrics,
        against_test=compared,
        calibration=() if yardstick.kind else tuple(calibration(target, score)),
        months=by_name(rows, months, policy, yardstick),
        groups={
            column: by_group(rows, values, policy, yardstick)
            for column, values in (groups or {}).items()
        },
        bands=tuple(bands(target, score)) if yardstick.kind == VALUE else (),
    )


def _too_few(
    target: Array,
    compared: Mapping[str, Comparison],
    policy: PerformancePolicy,
    yardstick: Yardstick,
) -> str | None:
    """Return why the rows allow no verdict, or None."""
    if len(target) < policy.min_rows:
        return _("fewer than {n} outcomes matched to predictions", n=policy.min_rows)
    if reason := yardstick.too_few(target, policy):
        return reason
    if all(found.allowed is None for found in compared.values()):
        return _("the version keeps no test metrics to compare with")
    return None


def _test_samples(
    tested: Rows | None, policy: PerformancePolicy, yardstick: Yardstick
) -> Mapping[str, Floats]:
    """Return bootstrap samples of the test's own metrics, by name; empty without test rows."""
    if tested is None or not np.size(tested[0]):
        return {}
    _values, samples = yardstick.measure(
        *tested, resamples=policy.resamples, seed=SEED + 1, confidence=policy.confidence
    )
    return samples


def _compare(
    name: str,
    found: Estimate,
    samples: Floats,
    test_samples: Floats | None,
    test: Mapping[str, float],
    guarded: Mapping[str, float],
    policy: PerformancePolicy,
) -> Comparison:
    """Compare one metric; the interval of a guarded one has its share of the policy's error.

    Test and labels are two samples: the interval of the change covers the sampling error of both.
    """
    before = test.get(name)
    if before is None or not math.isfinite(before) or found.value is None:
        return Comparison(None)
    change, allowed = found.value - before, guarded.get(name)
    if allowed is None:
        return Comparison(before, change)
    # One-sided: only the bound on the better side decides, so each tail has the whole share.
    chance = before if test_samples is None else test_samples[: len(samples)]
    low, high = percentiles(samples - chance, 1 - 2 * policy.error / len(guarded))
    beyond = (high is not None and high < allowed) if allowed < 0 else (low or -1.0) > allowed
    return Comparison(before, change, allowed, low, high, beyond)
