"""What a training run holds in MLflow: metrics, dataset, plots, scores, reference, model."""

import tempfile
import time
from collections.abc import Mapping
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import mlflow
import mlflow.data
import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.models import ModelSignature
from mlflow.models.model import ModelInfo
from mlflow.types import ColSpec, Schema, TensorSpec
from sklearn.calibration import CalibratedClassifierCV

from core.cli.progress import Clock
from core.contract import names
from core.contract.model import ModelContract
from mlflow_project.dataset.risk import EXAMPLE_INSTANCE, FEATURE_NAMES
from mlflow_project.make_dataset import TARGET
from mlflow_project.modelling.importance import importances
from mlflow_project.modelling.pipeline import TRUSTED_TYPES
from mlflow_project.modelling.plots import draw_importance, draw_plots
from mlflow_project.modelling.selection import Trial
from mlflow_project.modelling.threshold import thinned, trade_off
from mlflow_project.modelling.training import Evaluation, ServedFit, data_digest, row_digests
from mlflow_project.runs.fingerprint import PACKAGES
from mlflow_project.versions.gate import ARTIFACT_TEST_SCORES, ARTIFACT_TRAINING_ROWS, tested_rows

REPORT_ARTIFACT = "model_report.md"


def log_trial(trial: Trial) -> None:
    """Log one family under the folds as a child run of the current run."""
    with mlflow.start_run(run_name=f"família {trial.family.name}", nested=True):
        mlflow.log_params(
            {
                "family": trial.family.name,
                "hyperparameters": trial.family.hyperparameters(trial.seed),
                "compiled": trial.family.compiled,
            }
        )
        mlflow.log_metrics({**trial.metrics, "one_row_ms": trial.row_ms, "seconds": trial.seconds})


def log_times(client: MlflowClient, run_id: str, clock: Clock, report: str) -> None:
    """Log to an ended run where the time went: `seconds_` and `share_` per step, and the report."""
    now = int(time.time() * 1000)
    metrics = [
        Metric(f"{kind}_{step}", value, now, 0)
        for kind, values in (("seconds", clock.seconds), ("share", clock.shares()))
        for step, value in values.items()
    ]
    client.log_batch(run_id, metrics=metrics)
    client.log_text(run_id, report, REPORT_ARTIFACT)


def log_evaluation(evaluation: Evaluation, seed: int) -> None:
    """Log the metrics, the plots and the scores that the evaluation fit gave the test rows."""
    for prefix, metrics in (
        ("test", evaluation.metrics),
        ("oof", evaluation.train_metrics),
        ("persistence", evaluation.persistence),
    ):
        mlflow.log_metrics({f"{prefix}_{name}": value for name, value in metrics.items()})
    weights = importances(evaluation, seed)
    figures = {**draw_plots(evaluation), "permutation_importance.png": draw_importance(weights)}
    for name, figure in figures.items():
        mlflow.log_figure(figure, f"plots/{name}")
    mlflow.log_table(weights, "evaluation/permutation_importance.json")
    curve = trade_off(evaluation.train_target, evaluation.train_scores)
    mlflow.log_table(pd.DataFrame(thinned(curve)), "evaluation/threshold_tradeoff.json")
    log_parquet(tested_rows(evaluation), ARTIFACT_TEST_SCORES)


def log_dataset(dataset: pd.DataFrame, served: ServedFit) -> None:
    """Log the dataset as MLflow input, its row digests, and the reference for drift baselines."""
    features = dataset[[*FEATURE_NAMES, TARGET]].astype("float64")
    digest = data_digest(dataset)
    mlflow.log_input(
        mlflow.data.from_pandas(features, name="modeling_dataset", targets=TARGET, digest=digest),
        context="training",
    )
    # The served model's own scores: a proxy must give the same to the same student. They are of
    # rows that it was fitted on, so no performance is read from them.
    own = served.model.predict_proba(dataset[list(FEATURE_NAMES)])[:, 1]
    log_parquet(
        pd.DataFrame({"row": row_digests(dataset), "served_score": own}), ARTIFACT_TRAINING_ROWS
    )
    reference = features[list(FEATURE_NAMES)].assign(score=served.scores[0])
    log_parquet(reference, names.ARTIFACT_REFERENCE)


def log_parquet(frame: pd.DataFrame, artifact: str) -> None:
    """Log a frame as the Parquet artifact of that path."""
    target = Path(artifact)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / target.name
        frame.to_parquet(path, index=False)
        mlflow.log_artifact(str(path), str(target.parent))


def example_frame() -> pd.DataFrame:
    """Return the invented student as a one-row frame in pipeline order."""
    return pd.DataFrame([dict(EXAMPLE_INSTANCE)], columns=list(FEATURE_NAMES))


def log_model(model: CalibratedClassifierCV, contract: ModelContract) -> ModelInfo:
    """Log the model with its contract as metadata, by skops, without a line of our own code."""
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
