"""What someone has to know or to do, worst first, with the section of the runbook. Pure."""

from dataclasses import dataclass
from datetime import timedelta

from core.contract import names
from core.messages import N_, _, ngettext
from core.messages.formats import duration, joined, moment
from serving.following.history import Report
from serving.metrics.slo import Levels
from serving.panel.content import Color, PanelFacts, latest

_RANK: tuple[Color, ...] = ("red", "yellow", "none", "green")
STALE = timedelta(days=8)
"""A drift report older than the weekly routine of runbook §4.2, with a day's grace."""


@dataclass(frozen=True, slots=True)
class Concern:
    """Something to know or to do."""

    color: Color
    text: str


def concerns(facts: PanelFacts) -> list[Concern]:
    """Return all concerns, the worst first."""
    found = [*_of_service(facts), *_of_levels(facts), *_of_reports(facts)]
    return sorted(found, key=lambda concern: _RANK.index(concern.color))


def headline(facts: PanelFacts) -> Concern:
    """Return the worst color and the sentence that sums the page up."""
    colors: list[Color] = [concern.color for concern in concerns(facts)]
    worst: Color = colors[0] if colors else "green"
    served = facts.health.model_version
    if served:
        what = _("{model} {release} on the air", model=facts.model_name, release=served)
    else:
        what = _("{model} off the air", model=facts.model_name)
    return Concern(worst, _(_HEADLINES[worst], what=what))


_HEADLINES: dict[Color, str] = {
    "red": N_("Someone has to act: {what}"),
    "yellow": N_("Attention: {what}"),
    "none": N_("No alarms: {what}"),
    "green": N_("All in order: {what}"),
}


def _of_service(facts: PanelFacts) -> list[Concern]:
    health, found = facts.health, []
    if not health.model_loaded:
        text = _("No model loaded: the API answers 503 to whoever asks (§1.3).")
        found.append(Concern("red", text))
    if facts.capture.lost:
        text = ngettext(
            "{n} answer was not kept: check the server's disk (§1.5).",
            "{n} answers were not kept: check the server's disk (§1.5).",
            facts.capture.lost,
        )
        found.append(Concern("red", text))
    override = health.reasons[-1:] if health.threshold_source == "env" else []
    found += [Concern("none", f"{reason} (§3.3).") for reason in override]
    if health.status == "degraded":
        alarms = health.reasons[: len(health.reasons) - len(override)]
        found += [Concern("yellow", _("API degraded (§1.5): {reason}.", reason=r)) for r in alarms]
    elif facts.degraded:
        text = ngettext(
            "{n} other process is degraded; the log says why (§2.2).",
            "{n} other processes are degraded; the log says why (§2.2).",
            facts.degraded,
        )
        found.append(Concern("yellow", text))
    if len(facts.groups) > 1:
        listed = joined(
            [
                _("{release} in {count}", release=g.release or _("no version"), count=g.count)
                for g in facts.groups
            ]
        )
        text = _(
            "The processes serve different versions ({listed}); in a flip, for seconds.",
            listed=listed,
        )
        found.append(Concern("yellow", text))
    if facts.reading.problem and health.registry_reachable:
        text = _("The history could not be read: {problem}.", problem=facts.reading.problem)
        found.append(Concern("yellow", text))
    return found


def _of_levels(facts: PanelFacts) -> list[Concern]:
    hour, day = _missed(facts.hour), _missed(facts.day)
    if hour == day:
        spoken = [(N_("Off target in the last hour and the last day: {measures}."), hour)]
    else:
        spoken = [
            (N_("Off target in the last hour: {measures}."), hour),
            (N_("Off target in the last day: {measures}."), day),
        ]
    return [
        Concern("yellow", _(sentence, measures=joined(missed)))
        for sentence, missed in spoken
        if missed
    ]


def _missed(levels: Levels) -> list[str]:
    named = (
        (levels.latency, _("latency (§1.4)")),
        (levels.errors, _("error rate (§1.3)")),
        (levels.availability, _("availability (§1.5)")),
    )
    return [text for level, text in named if level.met is False]


def _of_reports(facts: PanelFacts) -> list[Concern]:
    drift, performance = latest(facts, names.JOB_DRIFT), latest(facts, names.JOB_PERFORMANCE)
    found = []
    if any(report and report.escalation == "L3" for report in (drift, performance)):
        text = _("L3: drift red and performance worse. Decide on the rollback (§3.4), tell (§6).")
        found.append(Concern("red", text))
    if drift is not None and drift.status == "RED":
        text = _("Drift red: look into the cause within 4 hours (§3.1, §6).")
        found.append(Concern("red", text))
    if drift is not None and drift.status == "YELLOW":
        found.append(Concern("yellow", _("Drift yellow: watch it for 24 hours (§6).")))
    if performance is not None and performance.status == "DEGRADED":
        text = _("Performance worse than in the test: look into it within 4 hours (§3.2, §6).")
        found.append(Concern("red", text))
    if facts.reading.when is not None and facts.health.model_loaded:
        found += _of_routine(facts, drift)
    return found


def _of_routine(facts: PanelFacts, drift: Report | None) -> list[Concern]:
    """Return what the routine of runbook §4 left undone."""
    history = facts.reading.history
    found = []
    for reports, sentence in (
        (history.drift, N_("The last drift report failed, at {when}.")),
        (history.performance, N_("The last performance report failed, at {when}.")),
    ):
        if reports and reports[0].failed:
            found.append(Concern("yellow", _(sentence, when=moment(reports[0].when))))
    if drift is None:
        text = _("There is no drift report of the version on the air yet (§2.1).")
        found.append(Concern("none", text))
    elif facts.now - drift.when > STALE:
        age = duration(facts.now - drift.when)
        text = _("The last drift report is {age} old; the routine is weekly (§4.2).", age=age)
        found.append(Concern("yellow", text))
    return found
