"""The drift report as one self-contained page, and its headline."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from core.contract.model import CLASSES, VALUE, Feature, ModelContract
from core.messages import N_, _, ngettext
from core.messages.formats import joined, number, percent
from core.messages.statuses import word
from core.metrics.expected import MIN_ROWS, ExpectedPerformance
from core.metrics.resampling import Estimate
from monitoring.drift.baseline import Baseline
from monitoring.drift.comparison import ALARMS, ColumnDrift, DriftResult, Status
from monitoring.drift.expected import Expected
from monitoring.drift.slices import SliceDrift
from monitoring.pages.page import template
from monitoring.pages.performance_page import names_of
from monitoring.pages.plots import Histogram, histogram
from monitoring.tracking.about import About
from monitoring.tracking.escalation import Escalation


@dataclass(frozen=True, slots=True)
class DriftFacts:
    """Context of the report: version, baseline, volumes, escalation and expected performance."""

    about: About
    contract: ModelContract
    baseline: Baseline
    n_requests: int
    n_instances: int
    n_entities: int
    escalation: Escalation
    expected: Expected | None
    test_metrics: Mapping[str, float]
    standing: str
    slices: Mapping[str, Sequence[SliceDrift]] = field(default_factory=dict)
    windows: bool = False
    """Whether the baseline is the preceding window."""

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as plain data, fit for JSON."""
        return {
            "baseline_created_at": self.baseline.created_at,
            "baseline_source": self.baseline.source,
            "n_requests": self.n_requests,
            "n_instances": self.n_instances,
            "n_entities": self.n_entities,
            "standing_status": self.standing,
            "escalation": asdict(self.escalation),
            "expected_performance": self.expected.to_dict() if self.expected else None,
            "slices": {k: [one.to_dict() for one in v] for k, v in self.slices.items()},
        }


@dataclass(frozen=True, slots=True)
class Row:
    """One column as the table shows it."""

    drift: ColumnDrift
    feature: Feature | None
    plot: Histogram
    reasons: tuple[str, ...]


def headline(result: DriftResult, facts: DriftFacts) -> str:
    """Return the verdict in one sentence."""
    reference = _("the window before") if facts.windows else _("the baseline")
    said = {"version": facts.about.model_version, "compared": _compared(facts)}
    said["reference"] = reference
    if result.global_status is Status.NO_DATA:
        return _(
            "No prediction of version {version} was captured in the window: there is nothing to "
            "compare.",
            **said,
        )
    if result.global_status is Status.INCONCLUSIVE:
        return _too_few(result, said)
    if result.global_status is Status.GREEN:
        return _(
            "No proven change in the data that version {version} received: {compared} with "
            "{reference}.",
            **said,
        )
    called = facts.contract.called
    named = [
        _("the output")
        if facts.contract.outputs and row is result.score
        else called.get(row.name, row.name)
        for row in result.ranked()
        if row.status is result.global_status
    ]
    shown = [*named[:3], *([_("{n} more", n=len(named) - 3)] if len(named) > 3 else [])]
    strong = N_(
        "Strong change in {columns} in the data that version {version} received: {compared} with "
        "{reference}."
    )
    moderate = N_(
        "Moderate change in {columns} in the data that version {version} received: {compared} with "
        "{reference}."
    )
    text = strong if result.global_status is Status.RED else moderate
    return _(text, columns=joined(shown), **said)


def _too_few(result: DriftResult, said: Mapping[str, str]) -> str:
    if result.n_needed is None:
        text = ngettext(
            "{reference} has only {n} row: no window could show whether the data that version "
            "{version} received have changed.",
            "{reference} has only {n} rows: no window could show whether the data that version "
            "{version} received have changed.",
            result.n_baseline,
            **said,
        )
        return text[0].upper() + text[1:]
    return _(
        "Too little to tell whether the data that version {version} received have changed: "
        "{compared} with {reference}, and at least {needed} are needed.",
        needed=number(result.n_needed),
        **said,
    )


def stands(result: DriftResult, facts: DriftFacts) -> str | None:
    """Return the line on an earlier verdict that still holds, or None."""
    if facts.standing == result.global_status:
        return None
    return _(
        "The verdict of an earlier report still stands: {status}.", status=word(facts.standing)
    )


def repeated(facts: DriftFacts) -> str | None:
    """Return the line on rows left out because their entity was scored again, or None."""
    if facts.n_entities == facts.n_instances:
        return None
    return _(
        "Of the window's {instances}, {entities} count: of whoever was scored more than once, only "
        "the last; instances without an identity count one by one.",
        instances=ngettext("{n} instance", "{n} instances", facts.n_instances),
        entities=ngettext("{n} entity", "{n} entities", facts.n_entities),
    )


def expectation(facts: DriftFacts) -> str | None:
    """Return the expected performance in one line, or None without an estimate."""
    if facts.expected is None:
        return None
    listed = ", ".join(
        f"{words} {number(found.value, 3)}" for words, found, _test in _expected_rows(facts)
    )
    return _("Expected performance, if the scores are calibrated: {listed}.", listed=listed)


def _unexpected(facts: DriftFacts) -> str | None:
    """Return why performance cannot be estimated; None if it is, or for a score output."""
    if facts.expected is not None or not facts.contract.outputs:
        return None
    if facts.baseline.classes:
        return _(
            "No performance is foretold before the outcomes: the window holds too few rows, or "
            "none with the probability of each class."
        )
    if facts.contract.output_kind == VALUE:
        return _(
            "No performance is foretold before the outcomes: a value does not say how sure it is."
        )
    return _(
        "No performance is foretold before the outcomes: that takes a calibrated score and a "
        "threshold (registry describe)."
    )


def actions(result: DriftResult, facts: DriftFacts) -> list[str]:
    """Return the recommended actions, by the runbook's mitigation (§3) and escalation (§6)."""
    todo = list(filter(None, [stands(result, facts), facts.escalation.action]))
    if result.global_status is Status.INCONCLUSIVE:
        if result.n_needed is None and not facts.windows:
            return [*todo, _("Build the baseline of more rows (runbook §4.3).")]
        return [*todo, _("Look at more days (--last_n_days), or again when there are more rows.")]
    if result.global_status is Status.NO_DATA:
        return [
            *todo,
            _(
                "Check that the API is up and that this version is the one that answers: "
                "curl http://localhost:8000/health"
            ),
            _("Check that the report reads the folder in which the API writes (INFERENCE_STORE)."),
            _("If nobody asked for predictions in the window, raise --last_n_days."),
        ]
    if result.global_status is Status.GREEN:
        return todo or [_("Nothing to do. Repeat at the next routine (runbook §4).")]
    if any(row.status in ALARMS for row in result.features):
        todo.append(
            _(
                "Features: check whether the source system has changed (unit, scale, filling in) "
                "and compare the distributions below (runbook §3.1)."
            )
        )
    if result.score is not None and result.score.status in ALARMS:
        what = _("Output") if facts.contract.outputs else _("Score")
        todo.append(
            _(
                "{what}: with the actual outcomes in hand, check the performance; if it fell, "
                "retrain; if not, renew the baseline (runbook §3.2).",
                what=what,
            )
        )
    return todo


def sensitivity(n_rows: int) -> str:
    """Return which shifts a window of this size can show (docs/drift-statistics.md)."""
    if n_rows < 30:
        return _("fewer than 30 instances: only very large changes can be proven")
    if n_rows < 100:
        return _("small window: shifts of less than 1 standard deviation may pass without an alarm")
    if n_rows < 200:
        return _("shifts of less than half a standard deviation may pass without an alarm")
    return _(
        "a shift of half a standard deviation is noticed more than {share} of the time",
        share=percent(0.9, 0),
    )


def render(result: DriftResult, facts: DriftFacts) -> str:
    """Return the page; it needs no other file and no network."""
    features = {feature.name: feature for feature in facts.contract.features}
    return template("drift_report.html").render(
        result=result,
        facts=facts,
        called=facts.contract.called,
        headline=headline(result, facts),
        actions=actions(result, facts),
        command=facts.escalation.command,
        sensitivity=sensitivity(facts.n_entities),
        repeated=repeated(facts),
        status=result.global_status,
        expected=_expected_rows(facts),
        widened=_widened(facts),
        unexpected=_unexpected(facts),
        too_few_for_expectation=0 < facts.n_entities < MIN_ROWS and not facts.contract.outputs,
        least_expected=MIN_ROWS,
        rows=[
            _row(drift, features.get(drift.name))
            for drift in result.ranked()
            if drift is not result.score
        ],
        score=_row(result.score, None) if result.score else None,
        policy=result.policy,
    )


def _expected_rows(facts: DriftFacts) -> list[tuple[str, Estimate, float | None]]:
    """Return display name, estimate and the version's test value of each expected metric."""
    if facts.expected is None:
        return []
    estimates = facts.expected.estimates()
    named = names_of(CLASSES if facts.baseline.classes else "", facts.baseline.classes)
    return [
        (words, estimates[name], facts.test_metrics.get(name))
        for name, words in named.items()
        if name in estimates
    ]


def _widened(facts: DriftFacts) -> str:
    """Return the error of each expected metric at the last change of year, as text.

    Empty where it is not known.
    """
    by = facts.expected.widened_by if isinstance(facts.expected, ExpectedPerformance) else {}
    said = [f"{words} {number(by[name], 3)}" for name, words in names_of("").items() if name in by]
    return joined(said) if said else ""


def _row(drift: ColumnDrift, feature: Feature | None) -> Row:
    return Row(drift, feature, histogram(drift.baseline, drift.current), _reasons(drift))


def _reasons(drift: ColumnDrift) -> tuple[str, ...]:
    """Return why a column has its status, in words."""
    reasons = []
    if drift.psi_status in ALARMS:
        reasons.append(_("the distribution has changed"))
    if drift.missing_status in ALARMS:
        grew = (drift.missing_delta or 0) > 0
        reasons.append(_("more values are missing") if grew else _("fewer values are missing"))
    if reasons and drift.novel_rows:
        reasons.append(
            ngettext(
                "{n} value outside what the baseline has",
                "{n} values outside what the baseline has",
                drift.novel_rows,
            )
        )
    return tuple(reasons)


def _compared(facts: DriftFacts) -> str:
    if facts.n_entities != facts.n_instances:
        return ngettext("{n} entity compared", "{n} entities compared", facts.n_entities)
    return ngettext("{n} instance compared", "{n} instances compared", facts.n_entities)
