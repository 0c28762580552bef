"""The model card, for a director and an operator to read before a version is served."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from core.cli.progress import STEPS, Clock
from core.contract.model import ModelContract
from core.messages import N_, _
from core.messages.formats import NONE, number, percent, signed
from core.metrics.classification import METRICS
from core.metrics.resampling import Interval
from core.pages.templates import environment
from mlflow_project.gate.criteria import capacity_question
from mlflow_project.modelling.groups import group_name
from mlflow_project.modelling.splits import HELD, SHOWN
from mlflow_project.modelling.training import Evaluation
from mlflow_project.runs.document import TEMPLATES
from mlflow_project.runs.fitting import Fits

_OF_CHILDREN: Mapping[str, tuple[str, str]] = {
    "recall": (N_("Recall"), N_("share of those who lagged that were flagged")),
    "precision": (N_("Precision"), N_("share of the flagged who lagged")),
    "share_flagged": (N_("Share flagged"), N_("of all children")),
    "roc_auc": (
        N_("ROC-AUC"),
        N_("of a child who lagged and one who did not, how often the first has the higher score"),
    ),
    "pr_auc": (N_("PR-AUC"), N_("mean precision over all thresholds")),
    "positive_rate": (N_("Share at risk"), N_("of all children")),
}
"""Names and meanings of metrics that the card states in terms of children."""


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """Facts that the model card states.

    `pairs` is the result of `count_pairs`: per reference year its students, the share reappearing
    and the share at risk.
    """

    contract: ModelContract
    fits: Fits
    params: Mapping[str, str | int | float]
    run_id: str
    intervals: Mapping[str, Interval]
    groups: pd.DataFrame
    pairs: Sequence[Mapping[str, float]]
    absent: Mapping[int, Sequence[str]]
    row_ms: float


def headline(release: str, evaluation: Evaluation) -> str:
    """Return a one-line summary; the UI's list of versions shows it unformatted."""
    m = evaluation.metrics
    return _(
        "{release}: recall {recall}, precision {precision}, flags {share}, ROC-AUC {auc} in the "
        "test; threshold {threshold}",
        release=release,
        recall=number(m["recall"], 2),
        precision=number(m["precision"], 2),
        share=percent(m["share_flagged"], 0),
        auc=number(m["roc_auc"], 3),
        threshold=number(evaluation.threshold, 4),
    )


def model_card(facts: ReportFacts, clock: Clock) -> str:
    """Return the model card as Markdown; it ends with the times of `clock`."""
    evaluation, groups = facts.fits.evaluation, facts.groups
    template = environment(TEMPLATES).get_template("model_card.md")
    return template.render(
        facts=facts,
        clock=clock,
        passed=all(criterion.passed for criterion in facts.fits.criteria),
        headline=headline(facts.contract.release, evaluation),
        question=capacity_question(evaluation.metrics),
        split=split_text(evaluation),
        errors=evaluation.year_change_errors(),
        groups=groups.astype("object").where(groups.notna(), None).to_dict("records"),
        terms={
            name: _OF_CHILDREN.get(name, (metric.title, metric.meaning))
            for name, metric in METRICS.items()
            if metric.title
        },
        repeated=SHOWN,
        held=HELD,
        steps=STEPS,
        dash=NONE,
        group_name=group_name,
        signed=signed,
    )


def split_text(evaluation: Evaluation) -> str:
    """Return a description of the split into training and test rows."""
    train, test = (", ".join(f"{year}→{year + 1}" for year in years) for years in evaluation.years)
    if evaluation.by_year:
        return _("by time: trained on {train}, tested on {test}", train=train, test=test)
    return _("by student: a quarter of {test} held out", test=test)
