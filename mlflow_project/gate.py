"""The gate: may a new version be served? Compared with the champion on rows neither had seen."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mlflow_project.contract import names
from mlflow_project.criteria import Criterion, GatePolicy, judge
from mlflow_project.make_dataset import GROUPS, TARGET
from mlflow_project.promotion import GATE_FAILED, GATE_PASSED, GATE_TAG, read_contract
from mlflow_project.risk import FEATURE_NAMES
from mlflow_project.training import Evaluation, row_digests
from mlflow_project.versions import Registry, Version

ARTIFACT_TEST_SCORES = "evaluation/test_scores.parquet"
"""Artifact of a source run: `row` (digest), `target`, `score`, `flagged`, group columns."""
ARTIFACT_TRAINING_ROWS = "evaluation/training_rows.parquet"
"""Artifact of a source run: `row` (digest) of every row that the served model was fitted on."""


def run_gate(registry: Registry, evaluation: Evaluation, policy: GatePolicy) -> list[Criterion]:
    """Judge an evaluation against the limits, persistence, groups and the present champion."""
    champion = registry.by_alias(names.CHAMPION)
    test = tested_rows(evaluation)
    common = None if champion is None else common_rows(registry, champion, evaluation)
    return judge(policy, evaluation.metrics, evaluation.persistence, test, GROUPS, common)


def tested_rows(evaluation: Evaluation) -> pd.DataFrame:
    """Return the test rows as they are logged and judged: no feature, no student."""
    test = evaluation.test
    return test[[*GROUPS, "score"]].assign(
        row=row_digests(test), target=test[TARGET], flagged=test["score"] >= evaluation.threshold
    )


def gate_tags(criteria: Sequence[Criterion]) -> dict[str, str]:
    """Return the verdict and each criterion as version tags."""
    verdict = GATE_PASSED if all(c.passed for c in criteria) else GATE_FAILED
    each = {
        f"{GATE_TAG}.{c.name}": f"{GATE_PASSED if c.passed else GATE_FAILED}: "
        f"{c.found} ({c.wanted})"
        for c in criteria
    }
    return {GATE_TAG: verdict, **each}


def common_rows(registry: Registry, champion: Version, evaluation: Evaluation) -> pd.DataFrame:
    """Return the test rows with `champion_score` and `champion_flagged` where they are honest.

    Rows that the champion's evaluation fit was tested on carry what it said then. Rows that the
    champion has never seen are scored by the served champion. The rest are left out: a fit
    flatters itself on rows it was trained on.
    """
    rows = tested_rows(evaluation)
    tested, fitted = _champion_artifacts(registry, champion)
    known = tested.drop_duplicates("row").set_index("row")
    rows["champion_score"] = rows["row"].map(known["score"])
    rows["champion_flagged"] = rows["row"].map(known["flagged"])
    fresh = (rows["champion_score"].isna() & ~rows["row"].isin(fitted)).to_numpy()
    if fresh.any():
        scores, threshold = _score_by(champion, evaluation.test[fresh])
        rows.loc[fresh, "champion_score"] = scores
        rows.loc[fresh, "champion_flagged"] = scores >= threshold
    return rows.dropna(subset=["champion_score"]).reset_index(drop=True)


def _champion_artifacts(registry: Registry, champion: Version) -> tuple[pd.DataFrame, set[str]]:
    """Return the champion's tested rows, and digests of all rows it was fitted on."""
    frames = []
    with tempfile.TemporaryDirectory() as folder:
        for artifact in (ARTIFACT_TEST_SCORES, ARTIFACT_TRAINING_ROWS):
            path = registry.client.download_artifacts(champion.run_id, artifact, folder)
            frames.append(pd.read_parquet(Path(path)))
    tested, fitted = frames
    return tested, set(fitted["row"])


def _score_by(champion: Version, rows: pd.DataFrame) -> tuple[np.ndarray, float]:
    """Return the served champion's scores of rows, and its threshold."""
    import mlflow.pyfunc

    contract = read_contract(champion)
    output = mlflow.pyfunc.load_model(champion.uri).predict(rows[list(FEATURE_NAMES)])
    threshold = float(champion.tags.get(names.TAG_THRESHOLD, contract.threshold))
    return np.asarray(output)[:, contract.positive_class], threshold
