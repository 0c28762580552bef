"""Concerns for the operator, each with its section of the runbook. Pure.

Unknown states come first: missing monitoring would otherwise look like the absence of alarms. Then
the most severe come first. The page's color is that of the most severe concern.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from core.contract import names
from core.messages import N_, _, ngettext
from core.messages.formats import duration, joined, moment
from core.registry.fleet import departures
from serving.metrics.slo import Levels
from serving.panel.content import Color, PanelFacts, finished, fleet, latest
from serving.panel.history import ReportRun

_RANK: tuple[Color, ...] = ("red", "yellow", "none", "green")
_GRACE = timedelta(days=1)
_WEEK = 7.0
"""Interval, in days, of the routine of a report that states no window (runbook §4.2)."""


@dataclass(frozen=True, slots=True)
class Concern:
    """One message for the operator; `unknown` is whether it is about an unknown state."""

    color: Color
    text: str
    unknown: bool = False


def concerns(facts: PanelFacts) -> list[Concern]:
    """Return all concerns: unknown states first, then by severity."""
    found = [*_of_service(facts), *_of_levels(facts), *_of_reports(facts)]
    return sorted(found, key=lambda one: (not one.unknown, _RANK.index(one.color)))


def headline(facts: PanelFacts) -> Concern:
    """Return the most severe color and the sentence that sums up the page."""
    found = concerns(facts)
    worst: Color = min((one.color for one in found), key=_RANK.index, default="green")
    sentence = _HEADLINES[worst]
    if worst == "none" and any(one.unknown for one in found):
        sentence = N_("Nobody knows whether all is in order: {what}")
    served = facts.health.model_version
    if served:
        what = _("{model} {release} in service", model=facts.model_name, release=served)
    else:
        what = _("{model} out of service", model=facts.model_name)
    return Concern(worst, _(sentence, what=what))


_HEADLINES: dict[Color, str] = {
    "red": N_("Someone has to act: {what}"),
    "yellow": N_("Attention: {what}"),
    "none": N_("No alarms: {what}"),
    "green": N_("All in order: {what}"),
}


def _unknown(text: str) -> Concern:
    return Concern("none", text, unknown=True)


def _of_service(facts: PanelFacts) -> Iterator[Concern]:
    health = facts.health
    if not health.model_loaded:
        yield Concern("red", _("No model loaded: the API answers 503 to whoever asks (§1.3)."))
    if facts.capture.lost:
        text = ngettext(
            "{n} answer was not kept: check the server's disk (§1.5).",
            "{n} answers were not kept: check the server's disk (§1.5).",
            facts.capture.lost,
        )
        yield Concern("red", text)
    override = health.reasons[-1:] if health.threshold_source == "env" else []
    for reason in override:
        yield Concern("none", f"{reason} (§3.3).")
    if health.status == "degraded":
        for reason in health.reasons[: len(health.reasons) - len(override)]:
            yield Concern("yellow", _("API degraded (§1.5): {reason}.", reason=reason))
    elif facts.degraded:
        text = ngettext(
            "{n} other process is degraded; the log says why (§2.2).",
            "{n} other processes are degraded; the log says why (§2.2).",
            facts.degraded,
        )
        yield Concern("yellow", text)
    if len(facts.groups) > 1:
        found = [
            _("{release} in {count}", release=g.release or _("no version"), count=g.count)
            for g in facts.groups
        ]
        text = _(
            "The processes serve different versions ({listed}); in a flip, for seconds.",
            listed=joined(found),
        )
        yield Concern("yellow", text)
    for other in departures(fleet(facts)) if health.model_loaded else []:
        yield Concern("yellow", _("Not all proxies alike: {what} (§2.7).", what=other))
    problem = facts.reading.problem
    if problem and health.registry_reachable:
        yield Concern("yellow", _("The history could not be read: {problem}.", problem=problem))


def _of_levels(facts: PanelFacts) -> Iterator[Concern]:
    hour, day = _missed(facts.hour), _missed(facts.day)
    if hour == day:
        spoken = [(N_("Off target in the last hour and the last day: {measures}."), hour)]
    else:
        spoken = [
            (N_("Off target in the last hour: {measures}."), hour),
            (N_("Off target in the last day: {measures}."), day),
        ]
    for sentence, missed in spoken:
        if missed:
            yield Concern("yellow", _(sentence, measures=joined(missed)))


def _missed(levels: Levels) -> list[str]:
    named = (
        (levels.latency, _("latency (§1.4)")),
        (levels.errors, _("error rate (§1.3)")),
        (levels.availability, _("availability (§1.5)")),
    )
    return [text for level, text in named if level.met is False]


def _of_reports(facts: PanelFacts) -> Iterator[Concern]:
    newest = [latest(facts, job) for job in (names.JOB_DRIFT, names.JOB_PERFORMANCE)]
    drift, performance = [report.status if report else None for report in newest]
    if any(report and report.escalation == "L3" for report in newest):
        text = _("L3: drift red and performance worse. Decide on the rollback (§3.4), tell (§6).")
        yield Concern("red", text)
    if drift == "RED":
        yield Concern("red", _("Drift red: look into the cause within 4 hours (§3.1, §6)."))
    if drift == "YELLOW":
        yield Concern("yellow", _("Drift yellow: watch it for 24 hours (§6)."))
    if performance == "DEGRADED":
        text = _("Performance worse than in the test: look into it within 4 hours (§3.2, §6).")
        yield Concern("red", text)
    if facts.reading.when is None:
        yield _unknown(_("The reports were not read: whether there is drift is not known."))
    elif facts.health.model_loaded:
        yield from _of_routine(facts)


def _of_routine(facts: PanelFacts) -> Iterator[Concern]:
    """Yield the failed, inconclusive and overdue reports of the routine (runbook §4)."""
    history = facts.reading.value
    for reports, sentence in (
        (history.drift, N_("The last drift report failed, at {when}.")),
        (history.performance, N_("The last performance report failed, at {when}.")),
    ):
        if reports and reports[0].failed:
            yield Concern("yellow", _(sentence, when=moment(reports[0].when)))
    for job, sentences in _UNKNOWING.items():
        newest = next(iter(finished(facts, job)), None)
        if newest is not None and newest.status in sentences:
            yield _unknown(_(sentences[newest.status], when=moment(newest.when)))
    yield from _of_age(facts)


_UNKNOWING: Mapping[str, Mapping[str | None, str]] = {
    names.JOB_DRIFT: {
        "NO_DATA": N_("The drift report of {when} found no rows: it says nothing (§2.1)."),
        "INCONCLUSIVE": N_("The drift report of {when} had too few rows to have shown red (§2.1)."),
    },
    names.JOB_PERFORMANCE: {
        "NO_DATA": N_("The performance report of {when} found nothing to judge (§3.2)."),
        "INCONCLUSIVE": N_(
            "The performance report of {when} had too few outcomes to judge (§3.2)."
        ),
    },
}


def _of_age(facts: PanelFacts) -> Iterator[Concern]:
    """Yield a concern if there is no drift report, or it is older than its routine's interval."""
    drift = finished(facts, names.JOB_DRIFT)
    if not drift:
        yield _unknown(_("There is no drift report of the served version yet (§2.1)."))
        return
    # The routine that runs most often is overdue first.
    newest = min(drift, key=_days)
    age, days = facts.now - newest.when, _days(newest)
    if age > timedelta(days=days) + _GRACE:
        facts_ = {"age": duration(age), "days": days}
        text = _(
            "The last drift report is {age} old; its routine is of {days} days (§4).", **facts_
        )
        yield _unknown(text)


def _days(report: ReportRun) -> float:
    """Return the days that a report covers, which are its routine's interval."""
    try:
        days = float(report.params["last_n_days"])
    except (KeyError, ValueError):
        return _WEEK
    return days if days > 0 else _WEEK
