"""The past reports as bars: the largest effect on a feature, report by report. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from core.messages.formats import moment, number
from core.messages.statuses import color
from serving.following.history import Report

_HIGHEST = 3.0
"""Height of the chart, in alert thresholds."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One report in the chart of the trend; places in a box of 100 by 100, y downwards."""

    x: float
    y: float
    width: float
    height: float
    color: str
    title: str


@dataclass(frozen=True, slots=True)
class Trend:
    """The largest effect on a feature, report by report, oldest first, and both thresholds."""

    bars: tuple[Bar, ...]
    lines: tuple[tuple[float, str], ...]


def trend(reports: Sequence[Report]) -> Trend | None:
    """Return the chart of reports given newest first; None where there are fewer than two."""
    finished = [report for report in reversed(reports) if report.status]
    if len(finished) < 2:
        return None
    limits = [v for n in ("psi_warning", "psi_alert") if (v := _limit(finished[-1], n))]
    values = [_finite(report.metrics.get("psi_effect_max")) for report in finished]
    # A huge change reaches the top; the limits stay where they can be told apart.
    top = min(1.1 * max([*values, *limits, 0.01]), _HIGHEST * max(limits, default=1.0))
    step = 100 / max(len(finished), 8)
    bars = []
    for place, (report, value) in enumerate(zip(finished, values, strict=True)):
        # A report without a change, or without data, still shows that it was made.
        height = min(max(100 * value / top, 2.0), 100.0)
        title = f"{moment(report.when)}, {report.release}: {number(value, 3)}"
        left = place * step + 0.15 * step
        bars.append(Bar(left, 100 - height, 0.7 * step, height, color(report.status), title))
    lines = tuple((100 - 100 * limit / top, number(limit, 2)) for limit in limits)
    return Trend(tuple(bars), lines)


def _limit(report: Report, name: str) -> float | None:
    try:
        return _finite(float(report.params[name]))
    except (KeyError, ValueError):
        return None


def _finite(value: float | None) -> float:
    """Return a metric that can be drawn; anyone may log anything under its name."""
    return value if value is not None and math.isfinite(value) and value > 0 else 0.0
