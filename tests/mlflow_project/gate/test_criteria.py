"""Gate criteria for planted challengers: good, worse, unfair, uncalibrated, or with few rows."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from core.metrics.classification import score_metrics
from mlflow_project.gate.criteria import Criterion, GatePolicy, capacity_question, judge

GROUPS = ("gender",)


def rows(size: int = 600, seed: int = 0) -> pd.DataFrame:
    """Return test rows with calibrated scores, equal for champion and challenger, in two groups."""
    rng = np.random.default_rng(seed)
    score = rng.beta(0.6, 0.8, size)
    target = (rng.random(size) < score).astype(int)
    frame = pd.DataFrame({"target": target, "score": score, "flagged": score >= 0.3})
    frame["champion_score"], frame["champion_flagged"] = frame["score"], frame["flagged"]
    # Flags three of four of those at risk, and three of five of the others.
    frame["persistence"] = np.where(target == 1, rng.random(size) < 0.75, rng.random(size) < 0.6)
    frame["gender"] = np.where(rng.random(size) < 0.5, "a", "b")
    return frame


def verdicts(
    frame: pd.DataFrame,
    common: pd.DataFrame | None,
    **policy: float,
) -> dict[str, Criterion]:
    """Return the criteria by name for a frame as the challenger's test rows."""
    metrics = score_metrics(frame["target"].to_numpy(), frame["score"].to_numpy(), 0.3)
    limits = GatePolicy(**policy)  # type: ignore[arg-type]
    found = judge(limits, metrics, frame, GROUPS, common)
    return {criterion.name: criterion for criterion in found}


def failed(found: Mapping[str, Criterion]) -> set[str]:
    """Return the names of the criteria that do not hold."""
    return {name for name, criterion in found.items() if not criterion.passed}


def test_a_good_version_passes_with_and_without_a_champion() -> None:
    """A version equal to the champion passes, and every criterion is reported."""
    frame = rows()
    assert failed(verdicts(frame, None)) == set()
    found = verdicts(frame, frame)
    assert failed(found) == set()
    assert {"recall_gain", "f2_gain", "brier_gain", "recall_gap.gender.a"} <= found.keys()
    assert found["f2_gain"].found == "+0,000 [+0,000; +0,000] em 600 linhas"


@pytest.mark.parametrize(
    ("policy", "name"),
    [
        ({"min_recall": 0.99}, "recall"),
        ({"max_share_flagged": 0.3}, "share_flagged"),
        ({"min_test_rows": 601}, "test_rows"),
    ],
)
def test_each_limit_fails_by_itself(policy: dict[str, float], name: str) -> None:
    """A limit that cannot be met fails its own criterion alone."""
    assert failed(verdicts(rows(), None, **policy)) == {name}


def test_no_better_than_persistence_fails() -> None:
    """F2 equal to that of persistence fails, although all other criteria hold."""
    frame = rows()
    found = verdicts(frame.assign(persistence=frame["flagged"]), None)
    assert failed(found) == {"f2_above_persistence"}
    assert found["f2_above_persistence"].found == "+0,000 [+0,000; +0,000]"


def test_a_champion_beyond_capacity_does_not_lock_the_gate() -> None:
    """A champion that flags everyone is compared at the share that a challenger may flag."""
    frame = rows()
    all_flagged = frame.assign(champion_flagged=True)
    judged = verdicts(frame, all_flagged)
    assert failed(judged) == set()
    # Limited to the capacity it still flags a few more rows, and so has a little more recall.
    assert judged["recall_gain"].found.startswith("-0,0")
    share = frame["flagged"].mean()
    assert failed(verdicts(frame, all_flagged, max_share_flagged=share)) == set()


def test_worse_than_the_champion_fails() -> None:
    """A challenger that misses a tenth of the champion's true positives fails."""
    frame = rows()
    worse = frame.copy()
    found = frame.index[(frame["target"] == 1) & frame["flagged"]]
    worse.loc[found[: len(found) // 10], "flagged"] = False
    assert {"recall_gain", "f2_gain"} <= failed(verdicts(frame, worse))


def test_better_than_the_champion_passes() -> None:
    """A challenger passes if the champion misses a fifth of its positives; the gain is shown."""
    frame = rows()
    found = frame.index[(frame["target"] == 1) & frame["flagged"]]
    frame.loc[found[: len(found) // 5], "champion_flagged"] = False
    judged = verdicts(frame, frame)
    assert failed(judged) == set()
    assert judged["recall_gain"].found.startswith("+0,1")


def test_uncalibrated_fails_on_brier_alone() -> None:
    """Overconfident scores with the same flags fail the Brier comparison alone."""
    frame = rows()
    pushed = frame.assign(score=np.where(frame["score"] >= 0.3, 0.99, 0.01))
    assert failed(verdicts(frame, pushed)) == {"brier_gain"}


def test_unfair_fails_for_the_group_it_overlooks() -> None:
    """Group b fails if a third of its positives are not flagged; group a passes."""
    frame = rows(2000)
    overlooked = frame.index[(frame["gender"] == "b") & (frame["target"] == 1)]
    frame.loc[overlooked[::3], "flagged"] = False
    assert failed(verdicts(frame, None)) == {"recall_gap.gender.b"}


def test_a_small_group_is_reported_and_not_judged() -> None:
    """A group with fewer than 30 positives is reported and passes."""
    frame = rows()
    few = frame.index[(frame["target"] == 1)][:20]
    frame.loc[few, "gender"] = "c"
    frame.loc[few, "flagged"] = False
    found = verdicts(frame, None)
    assert found["recall_gap.gender.c"].passed
    assert "20 positivos" in found["recall_gap.gender.c"].found


def test_a_gap_that_chance_explains_does_not_fail() -> None:
    """A gap a little over 0.10 among 40 positives passes, since its interval contains 0.10."""
    frame = rows(1000, seed=3)
    few = frame.index[(frame["target"] == 1) & frame["flagged"]][:40]
    frame.loc[few, "gender"] = "c"
    frame.loc[few[:9], "flagged"] = False
    assert verdicts(frame, None)["recall_gap.gender.c"].passed


def test_unknown_membership_is_no_group() -> None:
    """Rows of unknown gender form no group."""
    frame = rows()
    frame.loc[:50, "gender"] = None
    names = [name for name in verdicts(frame, None) if name.startswith("recall_gap")]
    assert names == ["recall_gap.gender.a", "recall_gap.gender.b"]


def watched(frame: pd.DataFrame) -> dict[str, Criterion]:
    """Return the criteria by name with the groups judged by ranking and calibration."""
    metrics = score_metrics(frame["target"].to_numpy(), frame["score"].to_numpy(), 0.3)
    found = judge(GatePolicy(), metrics, frame, (), None, GROUPS)
    return {criterion.name: criterion for criterion in found}


def test_a_group_whose_scores_say_nothing_fails() -> None:
    """A group whose scores rank at random fails the ranking criterion."""
    frame = rows(1200)
    assert failed(watched(frame)) == set()
    inside = frame.index[frame["gender"] == "b"]
    mixed = np.random.default_rng(1).permutation(frame.loc[inside, "score"])
    frame.loc[inside, "score"] = mixed
    found = watched(frame)
    assert "group_ranking" in failed(found)
    assert found["group_ranking"].found.startswith("gender=b: ")


def test_a_group_whose_scores_promise_too_much_fails() -> None:
    """Scores too high for one group fail the calibration criterion; too high for all do not."""
    frame = rows(1200)
    raised = frame["score"].where(frame["gender"] != "a", np.clip(frame["score"] + 0.6, 0, 1))
    alike = frame.assign(score=np.clip(frame["score"] + 0.3, 0, 1))
    assert "group_calibration" not in failed(watched(alike))
    assert "group_calibration" in failed(watched(frame.assign(score=raised)))
    small = frame.assign(gender=np.where(np.arange(1200) < 40, "c", "b"), score=raised)
    assert watched(small)["group_calibration"].found.startswith("gender=b: ")


def test_more_at_risk_than_the_capacity_is_a_question_for_a_person() -> None:
    """More positives than the capacity give a question with the numbers; otherwise it is empty."""
    year = {"share_flagged": 0.7, "positive_rate": 0.61, "precision": 0.8}
    asked = capacity_question(year)
    assert "61" in asked and "70" in asked and "cerca de 10 crianças" in asked
    assert capacity_question({**year, "positive_rate": 0.4}) == "", "then it flags too many"
    assert capacity_question({**year, "share_flagged": 0.5}) == ""


def test_too_few_common_rows_decide_nothing() -> None:
    """Under 50 common rows the champion comparison passes, lest it block every version."""
    frame = rows()
    found = verdicts(frame, frame.head(49).assign(flagged=False))
    assert failed(found) == set()
    assert found["champion"].wanted == ">= 50 para julgar"
