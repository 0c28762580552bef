"""What a version must show before it may be served: limits, champion, groups. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.metrics.classification import brier_of, f2_of, recall_of
from core.metrics.resampling import Interval, bootstrap, difference
from mlflow_project.modelling.threshold import CAPACITY


@dataclass(frozen=True, slots=True)
class Criterion:
    """One question the gate asked: what was found, what was wanted, and whether it holds."""

    name: str
    passed: bool
    found: str
    wanted: str


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """The limits. Losses are differences to the champion on rows that neither fit had seen.

    What is wanted is judged by the value, and its interval is shown. A champion that flags more
    than `max_share_flagged` (forced in, or by a threshold set since) counts only with the rows it
    is surest of, up to that share: whoever flags everyone has a recall that nobody may reach.

    A group is judged from `min_group_positives` on, and fails only where the whole interval of its
    gap lies beyond `max_group_gap`: a small group must not fail by chance.
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
    seed: int = 0


def judge(
    policy: GatePolicy,
    metrics: Mapping[str, float],
    test: pd.DataFrame,
    groups: Sequence[str],
    common: pd.DataFrame | None,
) -> list[Criterion]:
    """Return the gate's criteria, all of which must hold for a promotion.

    Args:
        policy: the limits.
        metrics: of the challenger's evaluation fit on its test rows.
        test: the test rows: `target` (0/1), `flagged` and `persistence` (bool: by the challenger,
            and by "lagging now"), and the columns named by `groups`.
        groups: columns by which recall must not differ much.
        common: rows that neither fit had seen: `target`, `score` and `flagged` of the challenger,
            `champion_score` and `champion_flagged`; None where there is no champion.
    """
    rows, recall, share = len(test), metrics["recall"], metrics["share_flagged"]
    criteria = [
        Criterion(
            "test_rows", rows >= policy.min_test_rows, f"{rows}", f">= {policy.min_test_rows}"
        ),
        Criterion(
            "recall", recall >= policy.min_recall, f"{recall:.3f}", f">= {policy.min_recall:.2f}"
        ),
        Criterion(
            "share_flagged",
            share <= policy.max_share_flagged,
            f"{share:.3f}",
            f"<= {policy.max_share_flagged:.2f}",
        ),
        _above_persistence(policy, test),
        *(c for column in groups for c in _group_gaps(policy, test, column)),
    ]
    if common is not None:
        criteria.extend(_against_champion(policy, common))
    return criteria


def _above_persistence(policy: GatePolicy, test: pd.DataFrame) -> Criterion:
    """Compare F2 with that of "lagging now, so lagging next year" on the same rows."""
    target, flagged = test["target"].to_numpy(), test["flagged"].to_numpy(bool)
    simple = f2_of(target, test["persistence"].to_numpy(bool))
    gain = bootstrap(difference(f2_of(target, flagged), simple), len(test), policy.seed)
    return Criterion("f2_above_persistence", gain.value > 0, f"{gain}", "> 0")


def _group_gaps(policy: GatePolicy, test: pd.DataFrame, column: str) -> Iterator[Criterion]:
    """Compare the recall of each group with the overall one; unknown membership is no group."""
    target, flagged = test["target"].to_numpy(), test["flagged"].to_numpy(bool)
    for value in sorted(test[column].dropna().unique()):
        inside = (test[column] == value).to_numpy()
        positives = int((target[inside] == 1).sum())
        name = f"recall_gap.{column}.{value}"
        wanted = f"<= {policy.max_group_gap:.2f}"
        if positives < policy.min_group_positives:
            yield Criterion(name, True, f"{positives} positivos", f"{wanted}; poucos para julgar")
            continue
        # A row outside the group counts as no positive, so it is in neither sum.
        of_group = recall_of(target * inside, flagged)
        gap = bootstrap(difference(recall_of(target, flagged), of_group), len(test), policy.seed)
        yield Criterion(
            name, gap.low <= policy.max_group_gap, f"{gap}, {positives} positivos", wanted
        )


def _against_champion(policy: GatePolicy, common: pd.DataFrame) -> Iterator[Criterion]:
    """Compare on common rows; too few decide nothing, so that the gate cannot lock itself."""
    if len(common) < policy.min_common_rows:
        text = f"{len(common)} linhas em comum"
        yield Criterion("champion", True, text, f">= {policy.min_common_rows} para julgar")
        return
    for name, gain, loss in _gains(policy, common):
        yield Criterion(
            name, gain.value >= -loss, f"{gain} em {len(common)} linhas", f">= {-loss:+.2f}"
        )


def _gains(policy: GatePolicy, common: pd.DataFrame) -> Iterator[tuple[str, Interval, float]]:
    """Yield name, challenger's gain over the champion (more is better), and the loss allowed."""
    target = common["target"].to_numpy()
    flagged = common["flagged"].to_numpy(bool)
    scores = common["score"].to_numpy(float)
    their_scores = common["champion_score"].to_numpy(float)
    theirs = _within_capacity(
        common["champion_flagged"].to_numpy(bool), their_scores, policy.max_share_flagged
    )
    rows, seed = len(common), policy.seed
    if (target == 1).any():
        recall = difference(recall_of(target, flagged), recall_of(target, theirs))
        yield "recall_gain", bootstrap(recall, rows, seed), policy.max_recall_loss
        f2 = difference(f2_of(target, flagged), f2_of(target, theirs))
        yield "f2_gain", bootstrap(f2, rows, seed), policy.max_f2_loss
    brier = difference(brier_of(target, their_scores), brier_of(target, scores))
    yield "brier_gain", bootstrap(brier, rows, seed), policy.max_brier_loss


def _within_capacity(flagged: np.ndarray, scores: np.ndarray, share: float) -> np.ndarray:
    """Return the flags, at most that share of the rows: those with the highest scores; (n,)."""
    capacity = int(share * len(flagged))
    if flagged.sum() <= capacity:
        return flagged
    kept = np.zeros(len(flagged), bool)
    kept[np.argsort(-np.where(flagged, scores, -np.inf), kind="stable")[:capacity]] = True
    return kept
