"""A version that accepts rows of the PEDE workbook reader, registered without a training."""

from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow.models.signature import ModelSignature
from mlflow.types import ColSpec, Schema
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from core.contract import names
from mlflow_project.dataset.risk import EXAMPLE_INSTANCE, build_contract
from mlflow_project.lists import read
from mlflow_project.modelling import pipeline, splits


def fit_fewer(patch: pytest.MonkeyPatch) -> None:
    """Reduce repeats and folds of trainings in this process: all steps, a third of the time."""
    patch.setattr(pipeline, "REPEATS", 1)
    patch.setattr(pipeline, "FOLDS", 4)
    patch.setattr(splits, "SPLITS", 2)
    patch.setattr(splits, "FOLDS", 2)


def register_pede(name: str, workbook: Path) -> str:
    """Fit a version on a workbook's newest year, make it champion of `name`; return `name`."""
    frame = pd.DataFrame(read(workbook.read_bytes()).rows)
    contract = build_contract("v1.2.0", 0.5, {}, 0.0)
    features = frame[list(contract.feature_names)].astype(float)
    steps = (SimpleImputer(keep_empty_features=True), StandardScaler(), LogisticRegression())
    fitted = make_pipeline(*steps).fit(features, features["defasagem"] < 0)
    example = pd.DataFrame([EXAMPLE_INSTANCE])[features.columns].astype(float)
    score = float(fitted.predict_proba(example)[0, 1])
    outputs = Schema([ColSpec("double")])
    mlflow.set_experiment(name)
    with mlflow.start_run():
        logged = mlflow.sklearn.log_model(
            fitted,
            name="model",
            signature=ModelSignature(Schema([ColSpec("double", n) for n in features]), outputs),
            pyfunc_predict_fn="predict_proba",
            pip_requirements=[],
            skops_trusted_types=["numpy.dtype"],
            metadata={names.METADATA_CONTRACT: build_contract("v1.2.0", 0.5, {}, score).to_dict()},
        )
    version = mlflow.register_model(logged.model_uri, name)
    mlflow.MlflowClient().set_registered_model_alias(name, names.CHAMPION, version.version)
    return name
