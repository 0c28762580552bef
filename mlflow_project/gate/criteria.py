"""Gate criteria for a promotion: limits, champion comparison and groups; pure functions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from core.messages import _, ngettext
from core.messages.formats import number, signed
from core.metrics.classification import brier_of, f2_of, recall_of, roc_auc_of
from core.metrics.resampling import Interval, Statistic, bootstrap, difference, ratio
from mlflow_project.modelling.groups import groups_of
from mlflow_project.modelling.threshold import CAPACITY


@dataclass(frozen=True, slots=True)
class Criterion:
    """One criterion of the gate: the value found, the condition wanted, and whether it holds."""

    name: str
    passed: bool
    found: str
    wanted: str


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """Limits of the gate; losses are differences from the champion on rows unseen by either fit.

    Overall criteria compare the point estimate with the limit and only show its interval. A
    champion that flags more than `max_share_flagged` (promoted with `--force`, or by a later
    threshold change) is compared by its highest-scored flagged rows up to that share: flagging
    everyone gives a recall that no challenger within the capacity can reach.

    A group is judged from `min_group_positives` positives on (for ranking and calibration it also
    needs as many negatives), and fails only if the whole interval lies beyond the limit, so that a
    small group does not fail by chance. `max_group_gap` limits how far its recall may lie below the
    overall recall, `min_group_auc` is a ROC-AUC, and `max_group_bias` limits the absolute
    difference between its mean of score − outcome and that of all rows.
    """

    min_test_rows: int = 100
    min_recall: float = 0.75
    max_share_flagged: float = CAPACITY
    min_common_rows: int = 50
    max_recall_loss: float = 0.02
    max_f2_loss: float = 0.02
    max_brier_loss: float = 0.02
    min_group_positives: int = 30
    max_group_gap: float = 0.10
    min_group_auc: float = 0.60
    max_group_bias: float = 0.15
    seed: int = 0


def judge(
    policy: GatePolicy,
    metrics: Mapping[str, float],
    test: pd.DataFrame,
    groups: Sequence[str],
    common: pd.DataFrame | None,
    watched: Sequence[str] = (),
) -> list[Criterion]:
    """Return the gate's criteria, all of which must hold for a promotion.

    Args:
        policy: the limits.
        metrics: of the challenger's evaluation fit on its test rows, at the threshold served.
        test: the test rows: `target` (0/1), `score`, `flagged` and `persistence` (bool: by the
            challenger, and by persistence), and the columns named by `groups` and `watched`.
        groups: columns whose groups are compared by recall.
        common: rows unseen by either fit: `target`, `score` and `flagged` of the challenger,
            `champion_score` and `champion_flagged`; None where there is no champion.
        watched: columns whose groups are checked for ranking and calibration.
    """
    rows, recall = len(test), metrics["recall"]
    criteria = [
        _at_least("test_rows", rows, policy.min_test_rows, number(rows)),
        _at_least("recall", recall, policy.min_recall, number(recall, 3)),
        _within_capacity(policy, metrics),
        _above_persistence(policy, test),
        *(c for column in groups for c in _group_gaps(policy, test, column)),
        *_weakest_groups(policy, test, watched),
    ]
    if common is not None:
        criteria.extend(_against_champion(policy, common))
    return criteria


def _at_least(name: str, value: float, limit: float, found: str) -> Criterion:
    return Criterion(name, value >= limit, found, f">= {number(limit, 0 if limit >= 1 else 2)}")


def _at_most(name: str, value: float, limit: float, found: str) -> Criterion:
    return Criterion(name, value <= limit, found, f"<= {number(limit, 2)}")


def _shown(interval: Interval) -> str:
    """Return a difference as text: signed value and interval."""
    value, low, high = (signed(v, 3) for v in (interval.value, interval.low, interval.high))
    return f"{value} [{low}; {high}]"


def _within_capacity(policy: GatePolicy, metrics: Mapping[str, float]) -> Criterion:
    """Compare the share flagged with the follow-up capacity of the schools.

    The limit holds even where more than that were at risk: the criterion then fails, and a person
    decides (`capacity_question`).
    """
    share, at_risk = metrics["share_flagged"], metrics["positive_rate"]
    found = _("{share} flagged, {risk} at risk", share=number(share, 3), risk=number(at_risk, 3))
    return _at_most("share_flagged", share, policy.max_share_flagged, found)


def capacity_question(metrics: Mapping[str, float]) -> str:
    """Return the question for a director to answer before a promotion; empty if there is none.

    There is one if both the share at risk and the share flagged exceed the schools' capacity.
    `metrics` are `share_flagged`, `positive_rate` and `precision` of the test rows.
    """
    share, at_risk = metrics["share_flagged"], metrics["positive_rate"]
    if not (at_risk > CAPACITY and share > CAPACITY):
        return ""
    return _(
        "Of 100 children of the test year {risk} lagged a year later, more than the {capacity} "
        "that the schools can follow up; the model flags {flagged}, of whom {right} of 100 lagged. "
        "May the schools work the list from the top and stop where their places are filled, "
        "leaving about {left} flagged children without follow-up?",
        risk=round(100 * at_risk),
        capacity=round(100 * CAPACITY),
        flagged=round(100 * share),
        right=round(100 * metrics["precision"]),
        left=round(100 * (share - CAPACITY)),
    )


def _above_persistence(policy: GatePolicy, test: pd.DataFrame) -> Criterion:
    """Compare F2 with that of persistence ("lagging now, so lagging next year") on same rows."""
    target, flagged = test["target"].to_numpy(), test["flagged"].to_numpy(bool)
    simple = f2_of(target, test["persistence"].to_numpy(bool))
    gain = bootstrap(difference(f2_of(target, flagged), simple), len(test), policy.seed)
    return Criterion("f2_above_persistence", gain.value > 0, _shown(gain), "> 0")


def _group_gaps(policy: GatePolicy, test: pd.DataFrame, column: str) -> Iterator[Criterion]:
    """Compare each group's recall with the overall recall; rows of unknown group are in none."""
    target, flagged = test["target"].to_numpy(), test["flagged"].to_numpy(bool)
    for value in sorted(test[column].dropna().unique()):
        inside = (test[column] == value).to_numpy()
        positives = int((target[inside] == 1).sum())
        name, found = f"recall_gap.{column}.{value}", _positives(positives)
        if positives < policy.min_group_positives:
            passed = _at_most(name, 0.0, policy.max_group_gap, found)
            few = _("{wanted}; too few to judge", wanted=passed.wanted)
            yield replace(passed, wanted=few)
            continue
        # Rows outside the group get target 0, so neither sum of recall includes them.
        of_group = recall_of(target * inside, flagged)
        gap = bootstrap(difference(recall_of(target, flagged), of_group), len(test), policy.seed)
        yield _at_most(name, gap.low, policy.max_group_gap, f"{_shown(gap)}, {found}")


def _positives(count: int) -> str:
    return ngettext("{n} positive", "{n} positives", count)


def _weakest_groups(
    policy: GatePolicy, test: pd.DataFrame, columns: Sequence[str]
) -> Iterator[Criterion]:
    """Judge ranking and calibration of the worst group among those that are large enough."""
    target, scores = test["target"].to_numpy(), test["score"].to_numpy()
    areas, biases = [], []
    for column, value, inside in groups_of(test, columns):
        outcomes, said = target[inside], scores[inside]
        positives = int((outcomes == 1).sum())
        if min(positives, len(outcomes) - positives) < policy.min_group_positives:
            continue
        area = bootstrap(roc_auc_of(outcomes, said), len(outcomes), policy.seed)
        areas.append((area.high, f"{column}={value}", area))
        bias = bootstrap(_group_bias(scores - target, inside), len(test), policy.seed)
        biases.append((_least_distance(bias), f"{column}={value}", bias))
    if areas:
        high, name, area = min(areas)
        found = f"{name}: {_shown(area)}"
        yield _at_least("group_ranking", high, policy.min_group_auc, found)
        distance, name, bias = max(biases)
        found = f"{name}: {_shown(bias)}"
        yield _at_most("group_calibration", distance, policy.max_group_bias, found)


def _group_bias(gaps: np.ndarray, inside: np.ndarray) -> Statistic:
    """Return a group's mean of score − outcome, less that of all rows, as a statistic.

    A change of year shifts all scores alike, which is no group's bias; the report states it
    separately.
    """

    def bias(weights: np.ndarray) -> np.ndarray:
        of_group = ratio((weights * gaps * inside).sum(axis=1), (weights * inside).sum(axis=1))
        return of_group - ratio((weights * gaps).sum(axis=1), weights.sum(axis=1))

    return bias


def _least_distance(interval: Interval) -> float:
    """Return the least distance of an interval from zero; 0 if it contains zero."""
    return max(interval.low, -interval.high, 0.0)


def _against_champion(policy: GatePolicy, common: pd.DataFrame) -> Iterator[Criterion]:
    """Compare with the champion on common rows; pass if they are too few to judge.

    Failing for too few rows would block every later promotion.
    """
    if len(common) < policy.min_common_rows:
        text = ngettext("{n} row in common", "{n} rows in common", len(common))
        wanted = _(">= {n} to judge", n=policy.min_common_rows)
        yield Criterion("champion", True, text, wanted)
        return
    for name, statistic, loss in _gains(policy, common):
        gain = bootstrap(statistic, len(common), policy.seed)
        found = ngettext("{gain} in {n} row", "{gain} in {n} rows", len(common), gain=_shown(gain))
        yield Criterion(name, gain.value >= -loss, found, f">= {signed(-loss, 2)}")


def _gains(policy: GatePolicy, common: pd.DataFrame) -> Iterator[tuple[str, Statistic, float]]:
    """Yield name, challenger's gain over the champion (higher is better) and allowed loss."""
    target = common["target"].to_numpy()
    flagged = common["flagged"].to_numpy(bool)
    scores = common["score"].to_numpy(float)
    their_scores = common["champion_score"].to_numpy(float)
    their_flags = common["champion_flagged"].to_numpy(bool)
    theirs = _surest(their_flags, their_scores, policy.max_share_flagged)
    if (target == 1).any():
        recall = difference(recall_of(target, flagged), recall_of(target, theirs))
        yield "recall_gain", recall, policy.max_recall_loss
        f2 = difference(f2_of(target, flagged), f2_of(target, theirs))
        yield "f2_gain", f2, policy.max_f2_loss
    brier = difference(brier_of(target, their_scores), brier_of(target, scores))
    yield "brier_gain", brier, policy.max_brier_loss


def _surest(flagged: np.ndarray, scores: np.ndarray, share: float) -> np.ndarray:
    """Return the flags limited to that share of the rows, highest scores first; (n,)."""
    capacity = int(share * len(flagged))
    if flagged.sum() <= capacity:
        return flagged
    kept = np.zeros(len(flagged), bool)
    kept[np.argsort(-np.where(flagged, scores, -np.inf), kind="stable")[:capacity]] = True
    return kept
