"""Comparison of a window with a baseline: drift metrics and statuses. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.contract.columns import feature_of
from monitoring.drift import stats
from monitoring.drift.baseline import Baseline, Profile, count_profiles
from monitoring.drift.policy import DriftPolicy


class Status(StrEnum):
    """Verdict on a column or on a whole window (runbook §5.1), in ascending severity.

    NO_DATA and INCONCLUSIVE are not verdicts: there were no rows, or too few to have shown RED.
    """

    NO_DATA = "NO_DATA"
    INCONCLUSIVE = "INCONCLUSIVE"
    GREEN = "GREEN"
    YELLOW = "YELLOW"
    RED = "RED"


KNOWING = (Status.GREEN, Status.YELLOW, Status.RED)
"""Statuses that are verdicts on the data."""
ALARMS = (Status.YELLOW, Status.RED)
"""Statuses that report a change."""
_RANK = {status: rank for rank, status in enumerate(Status)}


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """Everything measured on one column; numbers are None where a side has no rows.

    Attributes:
        name, type: the column, and the kind of its bins.
        psi: population stability index, uncorrected, so biased upwards in small windows.
        expected_psi: mean of `psi` in windows of this size without drift.
        effect: `psi` less `expected_psi`, at least 0; the thresholds apply to it.
        p_value: of no drift, adjusted for all tests of the result (Holm); likewise
            `missing_p_value`, of an unchanged missing rate.
        missing_delta: current less baseline missing rate; thresholds apply to its absolute value.
        novel_rows: rows of the window whose value does not occur in the baseline.
        psi_status, missing_status, status: the two verdicts and the worse of them.
        baseline, current: the counts behind the numbers.
    """

    name: str
    type: str
    psi: float | None
    expected_psi: float | None
    effect: float | None
    p_value: float | None
    baseline_missing_rate: float | None
    current_missing_rate: float | None
    missing_delta: float | None
    missing_p_value: float | None
    baseline_mean: float | None
    current_mean: float | None
    delta_mean: float | None
    novel_rows: int
    psi_status: Status
    missing_status: Status
    status: Status
    baseline: Profile
    current: Profile

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain data, bins and counts included; the name is left out."""
        data, binning = asdict(self), self.baseline.binning
        for name in ("name", "baseline", "current"):
            del data[name]
        points = binning.points[: binning.own] if binning.kind == "categorical" else binning.points
        data["bins"] = {
            "points": list(points),
            "baseline_counts": list(self.baseline.counts),
            "current_counts": list(self.current.counts),
        }
        return data


@dataclass(frozen=True, slots=True)
class DriftResult:
    """Verdict on a window, and the metrics that it is based on.

    `n_needed` rows could have shown RED at the policy's power (None: no number could, since the
    baseline has too few rows); with fewer, INCONCLUSIVE replaces GREEN.
    """

    global_status: Status
    features: tuple[ColumnDrift, ...]
    score: ColumnDrift | None
    n_baseline: int
    n_current: int
    n_needed: int | None
    policy: DriftPolicy

    def ranked(self) -> list[ColumnDrift]:
        """Return the features and the score, the worst first, then by the size of the change."""
        columns = [*self.features, *([self.score] if self.score else [])]
        return sorted(columns, key=lambda c: (-_RANK[c.status], -(c.effect or 0.0)))

    def of_status(self, status: Status) -> list[ColumnDrift]:
        """Return the features that have this status."""
        return [feature for feature in self.features if feature.status is status]

    def counts(self) -> dict[str, int]:
        """Return how many features are RED, YELLOW and GREEN, as `n_red` and so on."""
        return {f"n_{s.lower()}": len(self.of_status(s)) for s in reversed(KNOWING)}

    def to_dict(self) -> dict[str, Any]:
        """Return plain data without NaN, fit for JSON."""
        return {
            "global_status": str(self.global_status),
            "feature_drift": {feature.name: feature.to_dict() for feature in self.features},
            "score_drift": self.score.to_dict() if self.score else {"status": Status.NO_DATA},
            "summary": {"n_features": len(self.features), **self.counts()},
            "n_current": self.n_current,
            "n_needed": self.n_needed,
            "thresholds_used": asdict(self.policy),
        }


def compare(
    baseline: Baseline,
    current: pa.Table | Iterable[pa.RecordBatch],
    policy: DriftPolicy | None = None,
) -> DriftResult:
    """Compare the rows of a window with a baseline, by the runbook's thresholds or a policy's.

    `current` has features and `score` as columns, one row per instance; others are ignored.

    Raises:
        TableError: a column of the baseline is absent from `current`, or of another kind.
    """
    return judge(baseline, count_profiles(baseline.profiles, current), policy)


def judge(
    baseline: Baseline, now: Sequence[Profile], policy: DriftPolicy | None = None
) -> DriftResult:
    """Compare counts with a baseline; `now` has its features in its order, then the score."""
    policy = policy or DriftPolicy()
    n_current, n_needed = now[0].n_rows, _rows_needed(baseline.n_rows, len(now), policy)
    columns = _judge(baseline.profiles, now, policy)
    if n_needed is None or n_current < n_needed:
        columns = [_inconclusive(column) for column in columns]
    worst = max((column.status for column in columns), key=_RANK.__getitem__)
    score = columns.pop() if baseline.score else None
    return DriftResult(worst, tuple(columns), score, baseline.n_rows, n_current, n_needed, policy)


def _rows_needed(n_baseline: int, n_columns: int, policy: DriftPolicy) -> int | None:
    """Return how many rows a window needs for GREEN, or None if no number suffices."""
    alpha, shift, power = policy.significance_alert, policy.shown_shift, policy.power
    found = stats.rows_needed(n_baseline, 2 * n_columns, alpha, shift, power)
    return None if found is None else max(policy.min_rows, found)


def _inconclusive(column: ColumnDrift) -> ColumnDrift:
    """Return the drift of a column with too few rows: INCONCLUSIVE replaces GREEN, alarms stay."""
    verdicts = ("psi_status", "missing_status", "status")
    unknown: dict[str, Any] = {
        name: Status.INCONCLUSIVE for name in verdicts if getattr(column, name) is Status.GREEN
    }
    return replace(column, **unknown)


def _judge(
    before: Sequence[Profile], now: Sequence[Profile], policy: DriftPolicy
) -> list[ColumnDrift]:
    """Measure each column, adjust all p-values together, and turn them into statuses."""
    pairs = list(zip(before, now, strict=True))
    # A test that could not reject on any window (None) is left out of the adjustment.
    evidence = [test(*pair) for test in (_drift_p_value, _missing_p_value) for pair in pairs]
    informative = iter(stats.holm([p for p in evidence if p is not None]))
    adjusted = [None if p is None else next(informative) for p in evidence]
    return [
        _column(*pair, adjusted[index], adjusted[index + len(pairs)], policy)
        for index, pair in enumerate(pairs)
    ]


def _drift_p_value(before: Profile, now: Profile) -> float | None:
    """Return the p-value of no drift in one column: the least of up to three tests, times three.

    Shape detects any change, location detects a shift with fewer rows, novelty detects values
    absent from the reference that would be masked in a joined bin. None when both sides fill the
    same single bin.
    """
    x, y = before.vector(), _expected_aside(before, now)
    if not before.n_rows or not now.n_rows or len((x + y).nonzero()[0]) < 2:
        return None
    binning = before.binning
    p_values = [stats.shape_p_value(x, y)]
    if binning.ordered is not None:
        p_values.append(stats.location_p_value(x[binning.ordered], y[binning.ordered]))
    if binning.novel and not _novel_rows(before):
        p_values.append(
            stats.novelty_p_value(
                _novel_rows(now),
                now.n_rows - now.n_missing,
                before.n_rows - before.n_missing,
                binning.novelty_margin(x),
            )
        )
    return min(1.0, len(p_values) * min(p_values))


def _expected_aside(before: Profile, now: Profile) -> npt.NDArray[np.int64]:
    """Return the window's counts with the expected number of new categories counted as rare.

    A reference never holds all of many rare categories, so each window has new ones without drift.
    Rows beyond Good and Turing's estimate keep their bin; the novelty test counts all of them.
    """
    counts = now.vector()
    binning = before.binning
    if binning.singles and len(binning.points) > binning.own:
        known = before.n_rows - before.n_missing, now.n_rows - now.n_missing
        moved = min(_novel_rows(now), binning.expected_novel(*known))
        counts[binning.novel] -= moved
        counts[binning.own] += moved
    return counts


def _missing_p_value(before: Profile, now: Profile) -> float | None:
    """Return the p-value of an unchanged missing rate; None when it could not be low."""
    if not before.n_rows or not now.n_rows:
        return None
    if before.n_missing + now.n_missing in (0, before.n_rows + now.n_rows):
        return None
    return stats.rate_p_value(before.n_missing, before.n_rows, now.n_missing, now.n_rows)


def _column(
    before: Profile,
    now: Profile,
    p_value: float | None,
    missing_p: float | None,
    policy: DriftPolicy,
) -> ColumnDrift:
    """Assemble one column's metrics and statuses."""
    raw = expected = effect = delta = None
    psi_status = missing_status = Status.NO_DATA
    if before.missing_rate is not None and now.missing_rate is not None:
        counts = before.vector(), _expected_aside(before, now)
        raw, expected = stats.psi(*counts), stats.expected_psi(*counts)
        effect = max(0.0, raw - expected)
        delta = now.missing_rate - before.missing_rate
        psi_status = _status(effect, p_value, policy.psi_warning, policy.psi_alert, policy)
        limits = policy.missing_delta_warning, policy.missing_delta_alert
        missing_status = _status(abs(delta), missing_p, *limits, policy)
    known = before.mean is not None and now.mean is not None
    return ColumnDrift(
        name=feature_of(before.name),
        type=before.binning.kind,
        psi=raw,
        expected_psi=expected,
        effect=effect,
        p_value=p_value,
        baseline_missing_rate=before.missing_rate,
        current_missing_rate=now.missing_rate,
        missing_delta=delta,
        missing_p_value=missing_p,
        baseline_mean=before.mean,
        current_mean=now.mean,
        delta_mean=(now.mean or 0.0) - (before.mean or 0.0) if known else None,
        # If not every category could be listed, the reference itself has unlisted ones.
        novel_rows=0 if _novel_rows(before) else _novel_rows(now),
        psi_status=psi_status,
        missing_status=missing_status,
        status=max(psi_status, missing_status, key=_RANK.__getitem__),
        baseline=before,
        current=now,
    )


def _status(
    effect: float, p_value: float | None, warning: float, alert: float, policy: DriftPolicy
) -> Status:
    """Return a status from the size of a change and the evidence that there is one."""
    if p_value is None:
        return Status.GREEN
    if effect >= alert and p_value <= policy.significance_alert:
        return Status.RED
    if effect >= warning and p_value <= policy.significance_warning:
        return Status.YELLOW
    return Status.GREEN


def _novel_rows(now: Profile) -> int:
    return sum(now.counts[index] for index in now.binning.novel)
