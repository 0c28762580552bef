"""The rehearsal report as one self-contained page, and its headline."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from core.messages import _, ngettext
from core.messages.formats import NONE, number, percent
from core.metrics.resampling import Estimate
from monitoring.pages.page import template
from monitoring.pages.performance_page import names_of
from monitoring.pages.plots import both_scores
from monitoring.performance.agreement import Agreement
from monitoring.performance.agreement_of_kinds import ValueAgreement
from monitoring.replay.result import Rehearsal
from monitoring.tracking.about import About

_MOST_REASONS = 20


@dataclass(frozen=True, slots=True)
class RehearsalFacts:
    """Context of the report: the candidate, and the version compared with.

    Attributes:
        about: header of the report, for the candidate.
        before_version: release compared with.
        as_answered: whether its captured predictions are used, instead of a replay.
        served: whether it is the version that is served.
        changes: path of the table of changed predictions; None if not written.
        called: display names of the inputs, by name.
    """

    about: About
    before_version: str
    as_answered: bool
    served: bool
    changes: str | None
    called: Mapping[str, str] = field(default_factory=dict)


def headline(result: Rehearsal, facts: RehearsalFacts) -> str:
    """Return the rehearsal in one sentence."""
    versions = {"after": facts.about.model_version, "before": facts.before_version}
    if not result.n_rows:
        return _("In the window, there is no captured row to replay through {after}.", **versions)
    if not result.n_compared:
        return _(
            "None of {rows} captured rows has an answer of {before} and of {after}: "
            "{after} refuses {refused}.",
            rows=number(result.n_rows),
            refused=number(result.refused),
            **versions,
        )
    told = _changed(result, versions)
    if result.refused:
        more = _("It refuses {n} of {rows} rows.", n=result.refused, rows=number(result.n_rows))
        told = f"{told} {more}"
    return told


def _changed(result: Rehearsal, versions: Mapping[str, str]) -> str:
    said = {
        "rows": ngettext("{n} captured row", "{n} captured rows", result.n_compared),
        "changed": number(result.n_changed),
        "share": percent(result.share_changed),
        **versions,
    }
    found = result.agreement
    if isinstance(found, ValueAgreement):
        return _(
            "In {rows}, the outputs of {after} and {before} lie {distance} apart on average, "
            "with a bias of {bias}.",
            distance=number(found.mae, 3),
            bias=number(found.shift.value, 3),
            **said,
        )
    if isinstance(found, Agreement):
        return _(
            "In {rows}, {after} answers {changed} otherwise than {before} ({share}): {gained} "
            "newly flagged, {lost} no longer.",
            gained=number(found.n_only_shadow),
            lost=number(found.n_only_answered),
            **said,
        )
    return _(
        "In {rows}, {after} answers {changed} with another class than {before} ({share}).", **said
    )


def actions(result: Rehearsal, facts: RehearsalFacts) -> list[str]:
    """Return the recommended actions."""
    after, before = facts.about.model_version, facts.before_version
    if not result.n_rows:
        return [_("Name a longer window with --last_n_days, or the store with --inference_store.")]
    lines = []
    if facts.as_answered:
        lines.append(
            _(
                "Compared with what {before} answered then. Who got another answer should be "
                "looked at again.",
                before=before,
            )
        )
    elif facts.served:
        lines.append(
            _("This is what a promotion of {after} would change in such rows.", after=after)
        )
    if facts.changes:
        lines.append(
            _(
                "The rows whose answer changes are listed in {file}: keep it as you keep the data.",
                file=facts.changes,
            )
        )
    elif result.n_changed:
        lines.append(_("To list whose answer changes: --output changes.parquet"))
    if result.refused:
        lines.append(
            _("Clients that send what {after} refuses get error 422; see below why.", after=after)
        )
    return lines


def render(result: Rehearsal, compared: pa.Table, facts: RehearsalFacts) -> str:
    """Return the page; it needs no other file and no network.

    `compared` has `score` and `shadow_score` of the rows that both versions answered.
    """
    versions = facts.before_version, facts.about.model_version
    return template("rehearsal_report.html").render(
        result=result,
        facts=facts,
        headline=headline(result, facts),
        actions=actions(result, facts),
        command=None,
        status=None,
        cost_before=_cost(result.seconds_before),
        cost_after=_cost(result.seconds_after),
        groups=[(facts.called.get(by, by), each) for by, each in result.groups.items()],
        reasons=list(result.reasons.items())[:_MOST_REASONS],
        expected=_expected(result),
        plot_of=both_scores(result.agreement, compared, versions),
    )


def _cost(seconds: float | None) -> str:
    if seconds is None:
        return NONE
    return _("{microseconds} µs", microseconds=number(1e6 * seconds, 1))


def _expected(result: Rehearsal) -> list[tuple[str, Estimate | None, Estimate | None]]:
    before, after = (one.estimates() if one else {} for one in (result.before, result.after))
    # Class indexes are those of each version's own order, so per-class metrics are left out.
    return [
        (words, before.get(name), after.get(name))
        for name, words in names_of(result.kind).items()
        if name in before or name in after
    ]
