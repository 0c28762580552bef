"""The steps of a training before registration: both fits, repeated splits and the gate."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from core.cli.progress import Bar, Clock, say
from core.messages import _
from core.registry.versions import Registry
from mlflow_project.gate.criteria import Criterion, GatePolicy
from mlflow_project.gate.verdict import run_gate
from mlflow_project.modelling import pipeline, splits
from mlflow_project.modelling.rows import absent_text
from mlflow_project.modelling.threshold import ThresholdPolicy
from mlflow_project.modelling.training import (
    Evaluation,
    ServedFit,
    evaluate_fit,
    fit_for_serving,
    served_threshold,
)
from mlflow_project.runs.completion import champion_release

SEED = 7


@dataclass(frozen=True, slots=True)
class Fits:
    """Results of both fits, splits and gate; the evaluation is at the served threshold."""

    evaluation: Evaluation
    splits: pd.DataFrame
    criteria: Sequence[Criterion]
    judged_against: str
    served: ServedFit


def fit_and_judge(registry: Registry, dataset: pd.DataFrame, clock: Clock) -> Fits:
    """Fit for serving and for evaluation, run the repeated splits, and judge by the gate.

    Raises:
        PolicyUnmetError: no threshold satisfies the policy.
    """
    policy, absent = ThresholdPolicy(), absent_text(dataset)
    if absent:
        say(_("attention: {absent}", absent=absent))
    fits = pipeline.REPEATS * pipeline.FOLDS
    with clock.step("fit"):
        bar = _begin(_("fit for serving: all pairs of years"), fits)
        served = fit_for_serving(dataset, policy, SEED, tick=bar.tick)
    with clock.step("evaluate"):
        bar = _begin(_("fit for evaluation: tested once, on the newest pair of years"), fits)
        evaluation = evaluate_fit(dataset, policy, SEED, bar.tick)
        threshold = served_threshold(served, evaluation, policy.max_share_flagged)
        served = replace(served, threshold=threshold)
        evaluation = replace(evaluation, threshold=threshold)
    with clock.step("splits"):
        bar = _begin(_("the same on children held out"), splits.SPLITS * splits.FOLDS)
        repeated = splits.repeated_splits(dataset, policy, SEED, bar.tick)
    with clock.step("gate"):
        judged_against = champion_release(registry)
        criteria = run_gate(registry, evaluation, GatePolicy())
    return Fits(evaluation, repeated, criteria, judged_against, served)


def _begin(title: str, pieces: int) -> Bar:
    """Print the step's title; return its progress bar."""
    say(title)
    return Bar(_("fits"), pieces)
