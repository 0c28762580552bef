"""Log a training run to MLflow: metrics, dataset, plots, scores, drift reference, model."""

import json
from collections.abc import Mapping
from importlib.metadata import version as installed
from typing import Any

import mlflow
import mlflow.data
import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.models import ModelSignature
from mlflow.models.model import ModelInfo
from mlflow.types import ColSpec, Schema, TensorSpec
from sklearn.pipeline import Pipeline

from core.cli.progress import Clock
from core.contract import names
from core.contract.model import ModelContract
from core.files.scratch import scratch_folder
from mlflow_project.dataset.pairs import YEAR
from mlflow_project.dataset.risk import EXAMPLE_INSTANCE, FEATURE_NAMES, TARGET
from mlflow_project.gate.verdict import tested_rows
from mlflow_project.modelling.importance import importances
from mlflow_project.modelling.pipeline import TRUSTED_TYPES
from mlflow_project.modelling.plots import draw_importance, draw_plots
from mlflow_project.modelling.rows import data_digest, row_digests
from mlflow_project.modelling.splits import summary
from mlflow_project.modelling.threshold import thinned, trade_off
from mlflow_project.modelling.training import Evaluation, ServedFit
from mlflow_project.runs.document import page
from mlflow_project.runs.fingerprint import PACKAGES

TIMES_ARTIFACT = "training_times.json"
REPORT_ARTIFACT, REPORT_PAGE = "model_report.md", "model_report.html"


def log_times(client: MlflowClient, run_id: str, clock: Clock, card: str) -> None:
    """Log the time of each step and the finished model card to an ended run.

    Times are a file, since a metric per step would hide the metrics by which versions are compared.
    """
    client.log_dict(run_id, {"seconds": clock.seconds}, TIMES_ARTIFACT)
    client.log_text(run_id, card, REPORT_ARTIFACT)
    client.log_text(run_id, page(card), REPORT_PAGE)


def log_evaluation(evaluation: Evaluation, splits: pd.DataFrame, seed: int) -> None:
    """Log the metrics of the test and of the repeated splits, and the plots.

    Metrics: `test_`, `oof_` (out-of-fold on training rows) and `persistence_`, all at the threshold
    that is served; `splits_<metric>_mean`, `_sd`, `_worst`; and `year_change_error_`, observed
    minus expected metrics at the last change of year, if there was one.
    """
    for prefix, metrics in (
        ("test", evaluation.metrics),
        ("oof", evaluation.train_metrics),
        ("persistence", evaluation.persistence),
        ("splits", summary(splits)),
        (names.YEAR_CHANGE_ERROR, evaluation.year_change_errors()),
    ):
        mlflow.log_metrics({f"{prefix}_{name}": value for name, value in metrics.items()})
    weights = importances(evaluation, seed)
    figures = {**draw_plots(evaluation), "permutation_importance.png": draw_importance(weights)}
    for name, figure in figures.items():
        mlflow.log_figure(figure, f"plots/{name}")
    mlflow.log_table(weights, "evaluation/permutation_importance.json")
    mlflow.log_table(splits, "evaluation/splits.json")
    curve = trade_off(evaluation.train_target, evaluation.train_scores)
    mlflow.log_table(pd.DataFrame(thinned(curve)), "evaluation/threshold_tradeoff.json")


def log_dataset(dataset: pd.DataFrame) -> None:
    """Log the dataset as MLflow input: its digest and schema, none of its rows."""
    features = dataset[[*FEATURE_NAMES, TARGET]].astype("float64")
    digest = data_digest(dataset)
    mlflow.log_input(
        mlflow.data.from_pandas(features, name="modeling_dataset", targets=TARGET, digest=digest),
        context="training",
    )


def log_evidence(
    client: MlflowClient,
    model_id: str,
    dataset: pd.DataFrame,
    evaluation: Evaluation,
    served: ServedFit,
) -> None:
    """Log the version's evidence to its model artifacts, and to its run for the UI.

    That is: scores of test rows, digests of training rows, the drift reference, year-change errors.
    """
    features = list(FEATURE_NAMES)
    # The served model's scores of its training rows, which a proxy must reproduce. They are
    # in-sample, so no performance is computed from them.
    own = served.model.predict_proba(dataset[features])[:, 1]
    seen = pd.DataFrame({"row": row_digests(dataset), YEAR: dataset[YEAR], "served_score": own})
    reference = dataset[features].astype("float64")
    reference = reference.assign(score=served.scores[0], period=dataset[YEAR])
    with scratch_folder() as folder:
        for frame, artifact in (
            (tested_rows(evaluation), names.ARTIFACT_EVALUATION),
            (seen, names.ARTIFACT_TRAINING_ROWS),
            (reference, names.ARTIFACT_REFERENCE),
        ):
            path = folder / artifact
            path.parent.mkdir(parents=True, exist_ok=True)
            frame.to_parquet(path, index=False)
        errors = json.dumps(evaluation.year_change_errors())
        (folder / names.ARTIFACT_YEAR_CHANGE).write_text(errors, encoding="utf-8")
        client.log_model_artifacts(model_id, str(folder))
        mlflow.log_artifacts(str(folder))


def example_frame() -> pd.DataFrame:
    """Return the invented student as a one-row frame in pipeline order."""
    return pd.DataFrame([dict(EXAMPLE_INSTANCE)], columns=list(FEATURE_NAMES))


def log_model(model: Pipeline, contract: ModelContract) -> ModelInfo:
    """Log the model in skops format, its contract as metadata, without code of this project."""
    metadata: Mapping[str, Any] = {names.METADATA_CONTRACT: contract.to_dict()}
    return mlflow.sklearn.log_model(
        model,
        name="model",
        serialization_format="skops",
        skops_trusted_types=list(TRUSTED_TYPES),
        pyfunc_predict_fn="predict_proba",
        signature=ModelSignature(
            Schema([ColSpec("double", name) for name in contract.feature_names]),
            Schema([TensorSpec(np.dtype("float64"), (-1, 2))]),
        ),
        input_example=example_frame(),
        metadata=metadata,
        pip_requirements=[f"{package}=={installed(package)}" for package in PACKAGES],
    )
