"""The gate: may a new version be served? Compared with the champion on rows neither had seen."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mlflow_project.contract import names
from mlflow_project.evaluate import Criterion, GatePolicy, judge, label_metrics
from mlflow_project.make_dataset import TARGET
from mlflow_project.promotion import GATE_FAILED, GATE_PASSED, GATE_TAG, read_contract
from mlflow_project.risk import FEATURE_NAMES
from mlflow_project.training import Evaluation, row_digests
from mlflow_project.versions import Registry, Version

ARTIFACT_TEST_SCORES = "evaluation/test_scores.parquet"
"""Artifact of a source run: `row` (digest), `target`, `score`, `flagged`, group columns."""
ARTIFACT_TRAINING_ROWS = "evaluation/training_rows.parquet"
"""Artifact of a source run: `row` (digest) of every row that the served model was fitted on."""


def run_gate(registry: Registry, evaluation: Evaluation, policy: GatePolicy) -> list[Criterion]:
    """Judge an evaluation against the limits, persistence and the present champion."""
    champion = registry.by_alias(names.CHAMPION)
    common = None
    if champion is not None:
        common = compare_with(registry, champion, evaluation)
    return judge(policy, evaluation.metrics, evaluation.persistence, common)


def gate_tags(criteria: Sequence[Criterion]) -> dict[str, str]:
    """Return the verdict and each criterion as version tags."""
    verdict = GATE_PASSED if all(c.passed for c in criteria) else GATE_FAILED
    each = {
        f"{GATE_TAG}.{c.name}": f"{GATE_PASSED if c.passed else GATE_FAILED}: "
        f"{c.found} ({c.wanted})"
        for c in criteria
    }
    return {GATE_TAG: verdict, **each}


def compare_with(
    registry: Registry, champion: Version, evaluation: Evaluation
) -> tuple[dict[str, float], dict[str, float], int]:
    """Return label metrics of challenger and champion on common unseen rows, and their number.

    Rows that the champion's evaluation fit was tested on carry the flags it gave then. Rows that
    the champion has never seen are scored by the served champion. The rest are left out: a fit
    flatters itself on rows it was trained on.
    """
    test = evaluation.test.assign(row=row_digests(evaluation.test))
    tested, seen = _champion_artifacts(registry, champion)
    flags = test["row"].map(tested.drop_duplicates("row").set_index("row")["flagged"])
    fresh = flags.isna() & ~test["row"].isin(seen)
    if fresh.any():
        flags[fresh] = _score_by_champion(champion, test[fresh])
    known = flags.notna().to_numpy()
    target = test[TARGET].to_numpy()[known]
    challenger = (test["score"] >= evaluation.threshold).to_numpy()[known]
    return (
        label_metrics(target, challenger),
        label_metrics(target, flags[known].to_numpy(bool)),
        int(known.sum()),
    )


def _champion_artifacts(registry: Registry, champion: Version) -> tuple[pd.DataFrame, set[str]]:
    """Return the champion's tested rows with flags, and digests of all rows it was fitted on."""
    frames = []
    with tempfile.TemporaryDirectory() as folder:
        for artifact in (ARTIFACT_TEST_SCORES, ARTIFACT_TRAINING_ROWS):
            path = registry.client.download_artifacts(champion.run_id, artifact, folder)
            frames.append(pd.read_parquet(Path(path)))
    tested, fitted = frames
    return tested, set(fitted["row"])


def _score_by_champion(champion: Version, rows: pd.DataFrame) -> np.ndarray:
    import mlflow.pyfunc

    contract = read_contract(champion)
    output = mlflow.pyfunc.load_model(champion.uri).predict(rows[list(FEATURE_NAMES)])
    threshold = float(champion.tags.get(names.TAG_THRESHOLD, contract.threshold))
    return np.asarray(output)[:, contract.positive_class] >= threshold
