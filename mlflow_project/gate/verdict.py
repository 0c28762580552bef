"""Gate verdict: a challenger judged by the criteria and, on rows unseen by both, the champion."""

from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd

from core.contract import names
from core.contract.model import ModelContract
from core.files.scratch import scratch_folder
from core.mlflow_client.errors import UnreadableContract
from core.registry.evidence import fetch_evidence
from core.registry.packages import ask, load_model, read_contract, scores_of
from core.registry.versions import Registry, Version
from mlflow_project.dataset.pairs import YEAR
from mlflow_project.dataset.risk import FEATURE_NAMES, TARGET, persistence
from mlflow_project.flips.promotion import GATE_FAILED, GATE_PASSED, GATE_TAG
from mlflow_project.gate.criteria import Criterion, GatePolicy, judge
from mlflow_project.modelling.groups import FAIR, TITLES, with_groups
from mlflow_project.modelling.rows import row_digests
from mlflow_project.modelling.training import Evaluation

ARTIFACT_GATE = "evaluation/gate.json"
"""Artifact of a source run: the criteria as a table that the MLflow UI shows."""


def run_gate(registry: Registry, evaluation: Evaluation, policy: GatePolicy) -> list[Criterion]:
    """Judge an evaluation by the limits, persistence, groups and the current champion."""
    champion = registry.by_alias(names.CHAMPION)
    test = tested_rows(evaluation)
    common = None if champion is None else common_rows(registry, champion, evaluation)
    return judge(policy, evaluation.metrics, test, FAIR, common, tuple(TITLES))


def tested_rows(evaluation: Evaluation, features: Sequence[str] = FEATURE_NAMES) -> pd.DataFrame:
    """Return the test rows as logged and judged: with group columns, without student.

    `features` are the columns of the row digests; another version may have fewer or more.
    """
    test = evaluation.test
    return with_groups(test)[[*TITLES, "score"]].assign(
        row=row_digests(test, features),
        target=test[TARGET],
        flagged=test["score"] >= evaluation.threshold,
        persistence=persistence(test),
    )


def gate_tags(criteria: Sequence[Criterion]) -> dict[str, str]:
    """Return the verdict and each failed criterion as version tags.

    Passed criteria are only in the run's table (`ARTIFACT_GATE`) and in the model card, so that the
    list of tags stays short. Versions of older releases have tags for them too.
    """
    failed = {
        f"{GATE_TAG}.{c.name}": f"{GATE_FAILED}: {c.found} ({c.wanted})"
        for c in criteria
        if not c.passed
    }
    return {GATE_TAG: GATE_FAILED if failed else GATE_PASSED, **failed}


def log_gate(criteria: Sequence[Criterion]) -> None:
    """Log the criteria as a table of the current run, one row each."""
    import mlflow

    table = pd.DataFrame([asdict(criterion) for criterion in criteria])
    mlflow.log_table(table, ARTIFACT_GATE)


def common_rows(registry: Registry, champion: Version, evaluation: Evaluation) -> pd.DataFrame:
    """Return the test rows with `champion_score` and `champion_flagged` where they are unbiased.

    Rows on which the champion's evaluation fit was tested carry the scores logged then. Rows of a
    year that the champion was not trained on are scored by the served champion, which was fitted on
    the years before, as the challenger's evaluation fit was. All other rows are left out: a fit is
    optimistic on its own training rows, and in a year it was trained on it has an advantage over
    the other. No row is returned if the champion's training rows are unknown: a version adopted
    from elsewhere, or one with a feature that no longer exists.
    """
    seen = _seen_by(registry, champion)
    if seen is None or not set(seen[0].feature_names) <= set(evaluation.test.columns):
        return tested_rows(evaluation).head(0)
    contract, tested, fitted = seen
    # Digests over the champion's features: over ours, rows that it has seen would look new.
    rows = tested_rows(evaluation, contract.feature_names)
    known = tested.drop_duplicates("row").set_index("row")
    said = known[["score", "flagged"]].reindex(rows["row"])
    rows["champion_score"] = said["score"].to_numpy(float)
    # Not `map`: without a common row it returns a column that accepts no booleans.
    rows["champion_flagged"] = said["flagged"].to_numpy(object)
    year = evaluation.test[YEAR]
    met = rows["champion_score"].notna() | rows["row"].isin(fitted["row"])
    fresh = (~year.isin(fitted.get(YEAR, year[met]))).to_numpy()
    if fresh.any():
        new = evaluation.test.loc[fresh, list(contract.feature_names)]
        scores = scores_of(ask(load_model(registry, champion), new), contract)
        rows.loc[fresh, "champion_score"] = scores
        rows.loc[fresh, "champion_flagged"] = scores >= champion.threshold(contract)
    return rows.dropna(subset=["champion_score"]).reset_index(drop=True)


def _seen_by(
    registry: Registry, champion: Version
) -> tuple[ModelContract, pd.DataFrame, pd.DataFrame] | None:
    """Return the champion's contract, test rows and training rows (with years); None if unknown."""
    try:
        contract = read_contract(registry, champion)
    except UnreadableContract:
        return None
    tested = read_evidence(registry, champion, names.ARTIFACT_EVALUATION)
    fitted = read_evidence(registry, champion, names.ARTIFACT_TRAINING_ROWS)
    return None if tested is None or fitted is None else (contract, tested, fitted)


def read_evidence(registry: Registry, version: Version, artifact: str) -> pd.DataFrame | None:
    """Return a Parquet artifact of a version's training as a frame; None if there is none."""
    with scratch_folder() as folder:
        path = fetch_evidence(registry, version, artifact, folder)
        return None if path is None else pd.read_parquet(path)
