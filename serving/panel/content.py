"""Texts and colors of the operators' page about the served version and its service. Pure."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from core.contract import names
from core.messages import N_, _
from core.messages.formats import NONE, duration, joined, milliseconds, moment, number
from core.registry.fleet import told
from core.registry.proxies import Fleet, fleet_of
from serving.deployment.trial import Measure
from serving.http.schemas import CaptureState, Health
from serving.metrics.families import LATENCY_BOUNDS
from serving.metrics.kept import DayLevels
from serving.metrics.slo import Level, Levels, LevelWindow, levels
from serving.panel.background import Reading
from serving.panel.counts import Counts
from serving.panel.history import Change, History, ReportRun

Color = Literal["red", "yellow", "green", "none"]


@dataclass(frozen=True, slots=True)
class Group:
    """Workers that serve the same version."""

    release: str
    count: int


@dataclass(frozen=True, slots=True)
class PanelFacts:
    """Input data of the page.

    `health` is of the worker that responds; `capture`, `groups`, `canary` (its comparisons with the
    champion) and `degraded` are of all workers;
    `since` is when this worker loaded the served version, `started` when the server started.
    """

    now: datetime
    model_name: str
    health: Health
    threshold: float | None
    since: datetime | None
    started: datetime
    groups: tuple[Group, ...]
    degraded: int
    capture: CaptureState
    hour: Levels
    day: Levels
    reading: Reading[History]
    counts: Reading[Counts | None]
    mlflow_url: str
    days: tuple[DayLevels, ...] = ()
    canary: tuple[Measure, ...] = ()
    registry_url: str = ""


def fleet(facts: PanelFacts) -> Fleet:
    """Return the proxies, grouped by their state for the version of this proxy's alias."""
    health = facts.health
    return fleet_of(facts.reading.value.proxies, health.alias, health.alias_version, facts.now)


def proxies_told(facts: PanelFacts) -> str:
    """Return which proxies serve the alias's version, as text; empty without reports."""
    health, found = facts.health, fleet(facts)
    if not facts.reading.value.proxies:
        return ""
    named = _("no. {number}", number=health.alias_version or NONE)
    served = health.alias_version == health.registry_version
    return told(found, health.model_version or named if served else named)


KNOWING = ("GREEN", "YELLOW", "RED", "OK", "DEGRADED")
"""Conclusive statuses; the others are grey, and replace no earlier verdict."""


def latest(facts: PanelFacts, job: str) -> ReportRun | None:
    """Return the newest conclusive report of a job about the served version; None without one."""
    return next((r for r in finished(facts, job) if r.status in KNOWING), None)


def finished(facts: PanelFacts, job: str) -> list[ReportRun]:
    """Return the finished reports of a job about the served version, newest first."""
    history = facts.reading.value
    reports = history.drift if job == names.JOB_DRIFT else history.performance
    served = str(facts.health.registry_version)
    return [r for r in reports if r.status and r.number == served]


def flip_of(facts: PanelFacts) -> Change | None:
    """Return the ledger's entry of the flip to the served version; None without one."""
    last = facts.reading.value.flip
    served = str(facts.health.registry_version)
    return last if last is not None and last.after == served else None


def whose_flip(facts: PanelFacts) -> str:
    """Return who flipped the alias to the served version, or why that is unknown, as text."""
    if facts.reading.when is None:
        return _("only MLflow knows who put it into service, and it was not read")
    if facts.health.alias != names.CHAMPION:
        served = facts.health.alias
        return _(
            "the history is of alias {one}, served is {other}", one=names.CHAMPION, other=served
        )
    flip = flip_of(facts)
    if flip is None:
        return _("flipped by no command, not recorded yet")
    if flip.action in names.LEDGER_NOTICED:
        return _("flipped by no command, noticed at {when}", when=moment(flip.when))
    who = flip.who or _("unknown")
    back = flip.action == names.LEDGER_ROLLBACK
    text = _("rollback by {who}", who=who) if back else _("promotion by {who}", who=who)
    return text + (f": {flip.why}" if flip.why else "")


def flip_effect(facts: PanelFacts) -> str:
    """Return the changes of the flip to the served version, as text; empty where unknown."""
    effect = facts.reading.value.effect
    if effect is None or flip_of(facts) is None:
        return ""
    told = [f"{effect.before} → {effect.after}"]
    old, new = effect.thresholds
    if old != new:
        told.append(_("threshold {old} → {new}", old=number(old, 4), new=number(new, 4)))
    if effect.new_inputs:
        told.append(_("new inputs: {names}", names=joined(effect.new_inputs)))
    if effect.lost_inputs:
        told.append(_("inputs gone: {names}", names=joined(effect.lost_inputs)))
    if len(told) == 1:
        told.append(_("same threshold and inputs"))
    return "; ".join(told)


def served_since(facts: PanelFacts) -> datetime | None:
    """Return since when the version is served: the flip's time, else when this worker loaded it."""
    flip = flip_of(facts)
    known = flip is not None and flip.action not in names.LEDGER_NOTICED
    ours = facts.health.alias == names.CHAMPION
    return flip.when if flip is not None and known and ours else facts.since


def threshold_origin(facts: PanelFacts) -> str:
    """Return the origin of the threshold in force, as text."""
    source = facts.health.threshold_source
    if source == "env":
        return _("from the variable THRESHOLD: it holds for any version")
    if source == "metadata":
        return _("from the version's training")
    if source is None:
        return _("the served version has none")
    served = str(facts.health.registry_version)
    for change in facts.reading.value.changes:
        if change.action == names.LEDGER_THRESHOLD and change.version == served:
            who, when = change.who or _("unknown"), moment(change.when)
            text = _("changed by {who} at {when}", who=who, when=when)
            return text + (f": {change.why}" if change.why else "")
    return _("from the version's tag threshold")


def read_when(facts: PanelFacts) -> str:
    """Return when the history was read from MLflow, and why not later, as text."""
    reading, problem = facts.reading, facts.reading.problem
    if reading.when is None:
        return _("History and reports: {problem}.", problem=problem) if problem else ""
    when = moment(reading.when)
    if problem is None:
        return _("History and reports read from MLflow at {when}.", when=when)
    text = N_("History and reports read from MLflow at {when}; not now: {problem}.")
    return _(text, when=when, problem=problem)


def latency(level: Level) -> str:
    """Return a latency as text; one beyond the last bound as greater than that bound."""
    if level.value is None or math.isfinite(level.value):
        return milliseconds(level.value)
    return f"> {milliseconds(LATENCY_BOUNDS[-1])}"


def of_day(day: DayLevels) -> Levels:
    """Return a day's service levels, over the time that was measured."""
    whole = max(day.tally.lived, 1.0)
    return levels(LevelWindow(int(whole), whole, day.tally), LATENCY_BOUNDS)


def covered(levels: Levels) -> str | None:
    """Return the server's age as text where it is shorter than the window; else None."""
    seen = levels.window
    if seen.complete:
        return None
    return _("the server is only {age} old", age=duration(timedelta(seconds=seen.covered)))


def verdict(level: Level) -> tuple[Color, str]:
    """Return color and text of a service level's verdict."""
    if level.met is None:
        return "none", _("No requests") if level.value is None else _("Too early")
    return ("green", _("On target")) if level.met else ("red", _("Off target"))
