"""The past drift reports as bars: how far the largest change went, and what it was. Pure.

Heights are on a scale on which 1 is the warning and 2 the alert, whatever was measured: a change of
a distribution (PSI beyond chance) or of the share of missing values. A status also needs evidence,
so a bar never leaves the band of its report's status.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

from core.messages import _
from core.messages.formats import day, number, percent
from core.messages.statuses import color, word
from serving.panel.history import ReportRun

_TOP = 3.0
_BANDS = {"GREEN": (0.0, 0.94), "YELLOW": (1.06, 1.94), "RED": (2.06, _TOP)}
_LEAST = 0.08
"""A report without a change, or without data, still shows that it was made."""
_DATES = 3
"""About how many dates stand below the bars: what a phone has room for."""


@dataclass(frozen=True, slots=True)
class TrendBar:
    """One report in the chart; places in a box of 100 by 100, y downwards."""

    x: float
    y: float
    width: float
    height: float
    color: str
    title: str
    date: str = ""
    release: str = ""

    @property
    def middle(self) -> float:
        """Return where the bar's labels stand."""
        return self.x + self.width / 2


@dataclass(frozen=True, slots=True)
class Trend:
    """The bars, oldest first, and the lines of warning and alert with their words."""

    bars: tuple[TrendBar, ...]
    lines: tuple[tuple[float, str], ...]


def trend(reports: Sequence[ReportRun]) -> Trend | None:
    """Return the chart of reports given newest first; None where there are fewer than two."""
    finished = [report for report in reversed(reports) if report.status]
    if len(finished) < 2:
        return None
    step, every = 100 / max(len(finished), _DATES), math.ceil(len(finished) / _DATES)
    bars, before = [], ""
    for place, report in enumerate(finished):
        height = 100 * _height(report) / _TOP
        told = [day(report.when), report.release, word(report.status), cause_of(report)]
        bars.append(
            TrendBar(
                *(place * step + 0.15 * step, 100 - height, 0.7 * step, height),
                color(report.status),
                ", ".join(filter(None, told)),
                date="" if place % every else day(report.when),
                release=report.release if report.release != before else "",
            )
        )
        before = report.release
    lines = ((100 - 100 / _TOP, _("warning")), (100 - 200 / _TOP, _("alert")))
    return Trend(tuple(bars), lines)


def cause_of(report: ReportRun) -> str:
    """Return what decided a report's color; nothing for one that is green, or knows nothing."""
    if report.status not in ("YELLOW", "RED"):
        return ""
    return max(_changes(report), key=itemgetter(0), default=(0.0, ""))[1]


def _height(report: ReportRun) -> float:
    levels = [level for level, _text in _changes(report)]
    low, high = _BANDS.get(report.status or "", (0.0, 0.0))
    return max(min(max([*levels, low]), high), _LEAST)


def _changes(report: ReportRun) -> Iterator[tuple[float, str]]:
    """Yield what the report measured of each feature and of the score: its level, and in words."""
    for name, value in report.metrics.items():
        kind, _dot, column = name.partition(".")
        if name == "psi_effect_score":
            kind, column = "psi_effect", "score"
        if kind == "psi_effect" and column:
            amount = _finite(value)
            text = _("{column} changed (PSI {value})", column=column, value=number(amount, 2))
            yield _level(report, "psi", amount), text
        elif kind == "missing_delta" and column:
            amount = _finite(abs(value))
            text = _(
                "{column}: missing values changed by {share}", column=column, share=percent(amount)
            )
            yield _level(report, "missing_delta", amount), text


def _level(report: ReportRun, kind: str, value: float) -> float:
    """Return a change on the scale of the chart, by the thresholds that the report judged with."""
    warning, alert = (_limit(report, f"{kind}_{name}") for name in ("warning", "alert"))
    if value < warning:
        return value / warning
    if value < alert:
        return 1 + (value - warning) / (alert - warning)
    return min(2 + (value - alert) / alert, _TOP)


def _limit(report: ReportRun, name: str) -> float:
    """Return a threshold; infinite where the report does not say it."""
    try:
        return _finite(float(report.params[name])) or math.inf
    except (KeyError, ValueError):
        return math.inf


def _finite(value: float) -> float:
    """Return a metric that can be drawn; anyone may log anything under its name."""
    return value if math.isfinite(value) and value > 0 else 0.0
