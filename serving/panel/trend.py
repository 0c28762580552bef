"""Bar chart of the past drift reports: size and cause of the largest change. Pure.

Heights are scaled so that 1 is the warning and 2 the alert threshold, for changes of a distribution
(PSI beyond chance) and of the share of missing values alike. A status also needs evidence, so a bar
is clipped to the band of its report's status.
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
"""Least height, so that a report without a change or without data is visible."""
_DATES = 3
"""Approximate number of dates below the bars, limited by a phone's width."""


@dataclass(frozen=True, slots=True)
class TrendBar:
    """One report in the chart; coordinates in a box of 100 by 100, y downwards."""

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
        """Return the x coordinate of the bar's labels."""
        return self.x + self.width / 2


@dataclass(frozen=True, slots=True)
class Trend:
    """The bars, oldest first, and the lines of warning and alert with their labels."""

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
    """Return the largest change of a yellow or red report, as text; empty for any other."""
    if report.status not in ("YELLOW", "RED"):
        return ""
    return max(_changes(report), key=itemgetter(0), default=(0.0, ""))[1]


def _height(report: ReportRun) -> float:
    levels = [level for level, _text in _changes(report)]
    low, high = _BANDS.get(report.status or "", (0.0, 0.0))
    return max(min(max([*levels, low]), high), _LEAST)


def _changes(report: ReportRun) -> Iterator[tuple[float, str]]:
    """Yield the level and the text of each change that the report measured."""
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
    """Return a change on the scale of the chart, by the report's own thresholds."""
    warning, alert = (_limit(report, f"{kind}_{name}") for name in ("warning", "alert"))
    if value < warning:
        return value / warning
    if value < alert:
        return 1 + (value - warning) / (alert - warning)
    return min(2 + (value - alert) / alert, _TOP)


def _limit(report: ReportRun, name: str) -> float:
    """Return a threshold; infinite where the report's parameters lack it."""
    try:
        return _finite(float(report.params[name])) or math.inf
    except (KeyError, ValueError):
        return math.inf


def _finite(value: float) -> float:
    """Return a positive finite metric, else 0: any value may have been logged under its name."""
    return value if math.isfinite(value) and value > 0 else 0.0
