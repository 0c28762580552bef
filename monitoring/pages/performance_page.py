"""The performance report as one self-contained page, and its headline."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core.contract.model import CLASSES, VALUE
from core.messages import N_, _, ngettext
from core.messages.formats import joined, number, percent
from core.metrics import classification, multiclass, regression
from core.metrics.metric import Metric
from core.metrics.resampling import Estimate
from monitoring.pages.page import template
from monitoring.performance.groups import Part
from monitoring.performance.labels import Labels
from monitoring.performance.matching import Matched
from monitoring.performance.verdict import Comparison, PerformanceResult, PerformanceStatus
from monitoring.tracking.about import About
from monitoring.tracking.escalation import Escalation

METRICS: Mapping[str, Mapping[str, Metric]] = {
    "": classification.METRICS,
    VALUE: regression.METRICS,
    CLASSES: multiclass.METRICS,
}
"""Metrics by kind of outputs; each class also has its recall and precision."""

_PARTLY: Mapping[str, Sequence[str]] = {
    "": ("recall", "precision", "f2", "roc_auc", "brier"),
    VALUE: ("mae", "rmse", "bias"),
    CLASSES: ("accuracy", "macro_f1"),
}


def names_of(kind: str, classes: Sequence[str] = ()) -> dict[str, str]:
    """Return the display names of the metrics of a kind of outputs, in their order.

    Recall and precision of each of the `classes` come last.
    """
    found = {name: _(metric.title) for name, metric in METRICS[kind].items() if metric.title}
    for place, name in enumerate(classes):
        found[f"recall.{place}"] = _("Recall of {name}", name=name)
        found[f"precision.{place}"] = _("Precision of {name}", name=name)
    return found


@dataclass(frozen=True, slots=True)
class PerformanceFacts:
    """Context of the report: version and window, labels, matched predictions, escalation."""

    about: About
    labels: Labels
    matched: Matched
    escalation: Escalation

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as plain data, fit for JSON, without the labels' keys."""
        return {**volumes(self), "escalation": asdict(self.escalation)}


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric as the table shows it."""

    name: str
    meaning: str
    now: Estimate
    test: Comparison | None
    status: str | None


def volumes(facts: PerformanceFacts) -> dict[str, Any]:
    """Return the numbers of predictions, of labels, and of matches."""
    labels, matched = facts.labels, facts.matched
    return {
        "joined_by": labels.by,
        "periods": sorted(labels.periods),
        "n_instances": matched.n_answers,
        "n_entities": matched.n_entities,
        "n_label_rows": labels.n_rows,
        "n_labels_unknown": labels.n_unknown,
        "n_labels_duplicate": labels.n_duplicates,
        "n_labels_conflicting": labels.n_conflicts,
        "n_labels_other_period": labels.n_other_period,
        "n_labels_unmatched": matched.n_unmatched,
        "n_instances_other_period": matched.n_other_period,
        "n_instances_without_period": matched.n_without_period,
        "n_instances_labelled": matched.n_labelled,
        "n_entities_labelled": matched.n_rows,
        "coverage": matched.coverage,
    }


def headline(result: PerformanceResult, facts: PerformanceFacts) -> str:
    """Return the verdict in one sentence."""
    said = {
        "version": facts.about.model_version,
        "rows": ngettext("{n} outcome", "{n} outcomes", result.n_rows),
    }
    if result.reason is not None:
        text = N_("There is no verdict yet on the performance of version {version}: {reason}.")
        return _(text, reason=result.reason, **said)
    if result.status is PerformanceStatus.OK:
        return _("Version {version} is not proven worse than in its own test, in {rows}.", **said)
    called = names_of(result.yardstick.kind, result.yardstick.classes)
    worse = [
        _(
            "{metric} {value} (test: {test})",
            metric=called[name],
            value=number(result.metrics[name].value, 3),
            test=number(result.against_test[name].test, 3),
        )
        for name in result.degraded()
    ]
    text = N_("Version {version} is proven worse than in its own test, in {rows}: {metrics}.")
    return _(text, metrics=joined(worse), **said)


def coverage(facts: PerformanceFacts) -> str:
    """Return the share of the window's entities with a label, in one to three sentences."""
    matched = facts.matched
    known = {
        "outcomes": ngettext("{n} outcome", "{n} outcomes", matched.n_rows),
        "entities": ngettext("{n} scored entity", "{n} scored entities", matched.n_entities),
        "share": percent(matched.coverage),
    }
    if matched.n_labelled > matched.n_rows:
        text = _(
            "Coverage: {outcomes} of {entities} ({share}); {answers} answers before counting only "
            "the last of each.",
            answers=number(matched.n_labelled),
            **known,
        )
    else:
        text = _("Coverage: {outcomes} of {entities} ({share}).", **known)
    return " ".join(filter(None, [text, _unused_outcomes(facts), _unjudged_answers(facts)]))


def _unused_outcomes(facts: PerformanceFacts) -> str:
    """Return the numbers of unused labels, in one sentence; empty if all were used."""
    labels = facts.labels
    unmatched = N_("{n} without a prediction in the window")
    if labels.periods:
        unmatched = N_("{n} without a prediction about {periods} in the window")
    counts = (
        (unmatched, facts.matched.n_unmatched),
        (N_("{n} of another year"), labels.n_other_period),
        (N_("{n} without a key or a value"), labels.n_unknown),
        (N_("{n} repeated"), labels.n_duplicates),
        (N_("{n} with contradicting answers (left out)"), labels.n_conflicts),
    )
    periods = _periods(facts)
    listed = ", ".join(_(words, n=number(n), periods=periods) for words, n in counts if n)
    return _("Outcomes of the file: {listed}.", listed=listed) if listed else ""


def _unjudged_answers(facts: PerformanceFacts) -> str:
    """Return the numbers of predictions of other or no periods, in one sentence; empty if none."""
    matched = facts.matched
    counts = (
        (N_("{n} about another year"), matched.n_other_period),
        (N_("{n} that do not say about which year (see --period)"), matched.n_without_period),
    )
    listed = ", ".join(_(words, n=number(n)) for words, n in counts if n)
    if not listed:
        return ""
    return _(
        "The outcomes judge answers about {periods}; not judged: {listed}.",
        periods=_periods(facts),
        listed=listed,
    )


def _periods(facts: PerformanceFacts) -> str:
    return joined([str(period) for period in sorted(facts.labels.periods)])


def actions(result: PerformanceResult, facts: PerformanceFacts) -> list[str]:
    """Return the recommended actions, by the runbook."""
    todo = [facts.escalation.action] if facts.escalation.action else []
    if result.status is PerformanceStatus.NO_DATA:
        if facts.labels.by == "entity" and facts.labels.targets and not facts.matched.n_rows:
            todo.append(
                _(
                    "Check that PSEUDONYM_KEY is the key that the API uses: with another, none "
                    "match."
                )
            )
        return [
            *todo,
            _("Check that the outcomes are of predictions of this version and this window."),
            _(
                "Repeat when there are more outcomes; until then the drift report has the expected "
                "performance."
            ),
        ]
    if result.status is PerformanceStatus.DEGRADED:
        return [*todo, _("Retrain with recent data (runbook §3.5) or go back (§3.4).")]
    return todo or [
        _("Nothing to do. If there was drift, it is acceptable: renew the baseline (§4.3).")
    ]


def render(result: PerformanceResult, facts: PerformanceFacts) -> str:
    """Return the page; it needs no other file and no network."""
    kind = result.yardstick.kind
    called, partly = names_of(kind, result.yardstick.classes), _PARTLY[kind]
    return template("performance_report.html").render(
        result=result,
        facts=facts,
        headline=headline(result, facts),
        actions=actions(result, facts),
        command=facts.escalation.command,
        coverage=coverage(facts),
        status=result.status,
        rows=[_row(name, called[name], result) for name in called if name in result.metrics],
        unknown=[words for name, words in called.items() if name not in result.metrics],
        parts=[
            (_("By month of the prediction"), _("Month"), _cells(result.months, partly)),
            *(
                (_("By {column}", column=column), _("Value"), _cells(parts, partly))
                for column, parts in result.groups.items()
            ),
        ],
        part_names=[called[name] for name in partly],
        guarded=[(called[name], allowed) for name, allowed in result.guarded.items()],
        policy=result.policy,
    )


def _cells(parts: Sequence[Part], shown: Sequence[str]) -> list[tuple[Part, list[Estimate]]]:
    """Return each part with the estimates that its row of a table shows."""
    return [(part, [part.metrics.get(n, Estimate(None)) for n in shown]) for part in parts]


def _row(name: str, called: str, result: PerformanceResult) -> MetricRow:
    found = result.against_test.get(name)
    status = None
    if found is not None and found.allowed is not None:
        status = "DEGRADED" if found.degraded else "OK"
    metric = METRICS[result.yardstick.kind].get(name)
    meaning = [_(metric.meaning)] if metric and metric.meaning else []
    if name in result.yardstick.by_threshold and not result.same_threshold:
        meaning.append(_("another threshold than in the test, not comparable"))
    return MetricRow(called, "; ".join(meaning), result.metrics[name], found, status)
