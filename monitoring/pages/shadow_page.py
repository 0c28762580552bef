"""The shadow report as one self-contained page, and its headline."""

from dataclasses import dataclass

import pyarrow as pa

from core.messages import N_, _, ngettext
from core.messages.formats import number, percent
from monitoring.pages.page import template
from monitoring.pages.plots import both_scores
from monitoring.performance.agreement_of_kinds import AnyAgreement, ClassAgreement, ValueAgreement
from monitoring.tracking.about import About


@dataclass(frozen=True, slots=True)
class ShadowFacts:
    """Context of the report: the shadow's version, and the release that answered."""

    about: About
    answered_version: str


def headline(result: AnyAgreement, facts: ShadowFacts) -> str:
    """Return the comparison in one sentence."""
    said = {
        "shadow": facts.about.model_version,
        "answered": facts.answered_version,
        "entities": ngettext("{n} entity", "{n} entities", result.n_entities),
    }
    if not result.n_entities:
        text = N_("In the window, no row was scored by {answered} and, as shadow, by {shadow}.")
        return _(text, **said)
    if isinstance(result, ValueAgreement):
        return _(
            "In {entities}, the outputs of {shadow} (shadow) and {answered} lie {distance} apart "
            "on average, with a bias of {bias}.",
            distance=number(result.mae, 3),
            bias=number(result.shift.value, 3),
            **said,
        )
    said["share"] = percent(result.share_differ.value)
    if isinstance(result, ClassAgreement):
        return _(
            "In {entities}, {shadow} (shadow) and {answered} answer different classes in {share}.",
            **said,
        )
    return _(
        "In {entities}, {shadow} (shadow) and {answered} disagree in {share}: {only_answered} only "
        "{answered} flags, {only_shadow} only {shadow}.",
        only_answered=result.n_only_answered,
        only_shadow=result.n_only_shadow,
        **said,
    )


def actions(result: AnyAgreement, facts: ShadowFacts) -> list[str]:
    """Return the recommended actions."""
    if not result.n_entities:
        return [
            _(
                "Check that the API was started with SHADOW_ALIAS=challenger and that there were "
                "requests."
            ),
            _("Check in /health, under shadow, which version it follows; name it with --shadow."),
        ]
    return [
        *_if_promoted(result, facts.about.model_version),
        _(
            "Agreeing is not being right: which of the two is right, only the actual outcomes show "
            "(runbook §3.2)."
        ),
    ]


def _if_promoted(result: AnyAgreement, version: str) -> list[str]:
    """Return the line on how a promotion would change the mean; none for classes."""
    if isinstance(result, ClassAgreement):
        return []
    if isinstance(result, ValueAgreement):
        text = N_("If {version} is promoted, the mean output goes from {before} to {after}.")
        before, after = number(result.mean_answered, 3), number(result.mean_shadow, 3)
    else:
        text = N_("If {version} is promoted, the share flagged goes from {before} to {after}.")
        before, after = (
            percent((result.n_both + only) / result.n_entities)
            for only in (result.n_only_answered, result.n_only_shadow)
        )
    return [_(text, version=version, before=before, after=after)]


def render(result: AnyAgreement, paired: pa.Table, facts: ShadowFacts) -> str:
    """Return the page; it needs no other file and no network."""
    return template("shadow_report.html").render(
        result=result,
        facts=facts,
        headline=headline(result, facts),
        actions=actions(result, facts),
        command=None,
        status=None,
        plot_of=both_scores(result, paired, (facts.answered_version, facts.about.model_version)),
    )
