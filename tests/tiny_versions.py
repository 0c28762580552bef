"""Tiny versions of a machine's model, logged as training logs one; each kind is logged once."""

import tempfile
from collections.abc import Callable
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from core.contract import names
from core.contract.model import Example, Feature, ModelContract
from tests.live import built_once

INSTANCE = {"temperature": 21.5, "pressure": None, "wear": 2.0}
EXPERIMENT = "tiny-training"
Change = Callable[[ModelContract], ModelContract]


def unchanged(contract: ModelContract) -> ModelContract:
    """Return the contract as it is."""
    return contract


def narrower(contract: ModelContract) -> ModelContract:
    """Return a contract that narrows a range, which breaks clients."""
    first, *others = contract.features
    return replace(contract, features=(replace(first, max=50.0), *others))


@dataclass(frozen=True)
class Kind:
    """Properties of a tiny version; versions with equal ones share one logged model."""

    release: str
    threshold: float
    seed: int
    rows: int


class TinyVersions:
    """A logger of tiny models to a server, which registers them under any name."""

    def __init__(self, server: str, factory: pytest.TempPathFactory) -> None:
        """Log to this server; `factory` gives the folder where workers share the models' URIs."""
        mlflow.set_tracking_uri(server)
        self._client, self._factory = mlflow.MlflowClient(server), factory

    def register(
        self,
        name: str,
        release: str = "v1.0.0",
        *,
        threshold: float = 0.5,
        seed: int = 0,
        alias: str | None = names.CHAMPION,
        change: Change = unchanged,
        tags: dict[str, str] | None = None,
        rows: int = 400,
        log_options: dict[str, Any] | None = None,
    ) -> int:
        """Register one version of model `name`; return its registry version number.

        Versions of a kind share run and logged model, unless `change` or `log_options` is given.
        """
        kind = Kind(release, threshold, seed, rows)
        if change is unchanged and log_options is None:
            uri = self._logged(kind)
        else:
            uri = log(kind, change, log_options or {})
        tags = {names.TAG_RELEASE: release, **(tags or {})}
        number = int(mlflow.register_model(uri, name, tags=tags).version)
        if alias:
            self._client.set_registered_model_alias(name, alias, str(number))
        return number

    def _logged(self, kind: Kind) -> str:
        """Return the URI of the model of this kind, which the first caller logs."""

        def build(folder: Path) -> None:
            (folder / "uri").write_text(log(kind, unchanged, {}))

        name = "tiny-" + "-".join(str(one) for one in astuple(kind))
        return (built_once(self._factory, name, build) / "uri").read_text()


def draw(kind: Kind) -> tuple[pd.DataFrame, pd.Series]:
    """Return a machine's readings, (rows, 3), and whether it failed."""
    rng = np.random.default_rng(kind.seed)
    frame = pd.DataFrame(
        {
            "temperature": rng.normal(20, 5, kind.rows),
            "pressure": rng.normal(1000, 10, kind.rows),
            "wear": rng.integers(0, 5, kind.rows).astype(float),
        }
    )
    frame.loc[rng.random(kind.rows) < 0.1, "pressure"] = np.nan
    heat = frame["temperature"] + 3 * frame["wear"] + rng.normal(0, 3, kind.rows)
    return frame, heat > 26


def build_contract(kind: Kind, score: float) -> ModelContract:
    """Return the contract of a kind; `score` is the example's."""
    return ModelContract(
        release=kind.release,
        features=(
            Feature("temperature", unit="°C", min=-50, max=100, description="Bearing"),
            Feature("pressure", unit="hPa", min=800, max=1200),
            Feature("wear", unit="mm", min=0, max=10, nullable=False),
        ),
        target="failure within a week",
        threshold=kind.threshold,
        threshold_policy={"policy": "fixed"},
        score_name="failure_score",
        label_name="failure_label",
        entity="serial",
        example=Example(INSTANCE, score),
        horizon=1,
        year_suffixes=True,
    )


def log(kind: Kind, change: Change, options: dict[str, Any]) -> str:
    """Fit and log one model with its training reference; return the model's URI."""
    frame, target = draw(kind)
    imputer = SimpleImputer(keep_empty_features=True)
    pipeline = make_pipeline(imputer, LogisticRegression(C=1.0 + kind.seed)).fit(frame, target)
    example = pd.DataFrame([INSTANCE]).astype(float)
    contract = build_contract(kind, float(pipeline.predict_proba(example)[0, 1]))
    mlflow.set_experiment(EXPERIMENT)
    with mlflow.start_run(run_name=f"train {kind.release}"):
        mlflow.log_params({"release": kind.release, "threshold": kind.threshold})
        mlflow.log_metrics({"test_roc_auc": 0.9, "test_recall": 0.8})
        columns = [ColSpec("double", f.name) for f in contract.features]
        output = Schema([TensorSpec(np.dtype("float64"), (-1, 2))])
        logged: dict[str, Any] = {
            "signature": ModelSignature(Schema(columns), output),
            "metadata": {names.METADATA_CONTRACT: change(contract).to_dict()},
            "pip_requirements": ["scikit-learn"],
            "serialization_format": "skops",
            "skops_trusted_types": ["numpy.dtype"],
            "pyfunc_predict_fn": "predict_proba",
            **options,
        }
        info = mlflow.sklearn.log_model(pipeline, name="model", **logged)
        log_reference(pipeline, frame)
    uri: str = info.model_uri
    return uri


def log_reference(pipeline: Pipeline, frame: pd.DataFrame) -> None:
    """Log the training rows with their scores, as training does."""
    reference = frame.assign(score=pipeline.predict_proba(frame)[:, 1])
    place = Path(names.ARTIFACT_REFERENCE)
    with tempfile.TemporaryDirectory() as folder:
        reference.to_parquet(Path(folder) / place.name)
        mlflow.log_artifact(str(Path(folder) / place.name), str(place.parent))
