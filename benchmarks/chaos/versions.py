"""Two versions of a model of machine failures whose responses cannot be confused."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from core.contract import names
from core.contract.model import Example, Feature, ModelContract

MODEL = "chaos-machine"
FEATURES = ("temperature", "pressure", "wear")
ROWS: tuple[dict[str, float], ...] = tuple(
    {"temperature": 8.0 + 3.0 * n, "pressure": 990.0 + 2.5 * n, "wear": float(n % 5)}
    for n in range(10)
)
"""Rows that clients send."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A registered version, and its score for each of `ROWS`."""

    number: int
    release: str
    threshold: float
    scores: tuple[float, ...]

    def gave(self, body: dict[str, Any], rows: Sequence[int]) -> bool:
        """Return whether a response for these rows comes from this version alone."""
        predictions = body["predictions"]
        return (
            body["model_version"] == self.release
            and body["threshold"] == self.threshold
            and len(predictions) == len(rows)
            and all(
                one["model_version"] == self.release
                and abs(one["failure_score"] - self.scores[row]) < 1e-12
                and one["failure_label"] == int(self.scores[row] >= self.threshold)
                for one, row in zip(predictions, rows, strict=True)
            )
        )


Pair = tuple[Registered, Registered]
"""Both versions, in the order of their registry numbers."""


def register() -> Pair:
    """Fit, log and register both at MLflow's tracking URI; the first becomes champion."""
    import mlflow

    mlflow.set_experiment("chaos")
    made = [_register(release, seed, th) for release, seed, th in _KINDS]
    mlflow.MlflowClient().set_registered_model_alias(MODEL, names.CHAMPION, str(made[0].number))
    return made[0], made[1]


_KINDS = (("v1.0.0", 0, 0.001), ("v1.1.0", 5, 0.999))


def _register(release: str, seed: int, threshold: float) -> Registered:
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    pipeline, frame = _fit(seed)
    asked = pd.DataFrame(ROWS)[list(FEATURES)]
    scores = tuple(pipeline.predict_proba(asked)[:, 1].tolist())
    columns = Schema([ColSpec("double", name) for name in FEATURES])
    with mlflow.start_run(run_name=f"train {release}"):
        info = mlflow.sklearn.log_model(
            pipeline,
            name="model",
            signature=ModelSignature(columns, Schema([TensorSpec(np.dtype("float64"), (-1, 2))])),
            metadata={names.METADATA_CONTRACT: _contract(release, threshold, scores[0]).to_dict()},
            pip_requirements=["scikit-learn"],
            serialization_format="skops",
            pyfunc_predict_fn="predict_proba",
        )
        _log_reference(frame.assign(score=pipeline.predict_proba(frame)[:, 1]))
    version = mlflow.register_model(info.model_uri, MODEL, tags={names.TAG_RELEASE: release})
    return Registered(int(version.version), release, threshold, scores)


def _fit(seed: int) -> tuple[Any, pd.DataFrame]:
    """Return a pipeline and the rows that it was fitted on, (400, 3)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(seed)
    values = [rng.normal(20, 5, 400), rng.normal(1000, 10, 400), rng.integers(0, 5, 400)]
    frame = pd.DataFrame(dict(zip(FEATURES, values, strict=True))).astype(float)
    failed = frame["temperature"] + 3 * frame["wear"] + rng.normal(0, 3, 400) > 26
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=1.0 + seed))
    return pipeline.fit(frame, failed), frame


def _contract(release: str, threshold: float, score: float) -> ModelContract:
    return ModelContract(
        release=release,
        features=(
            Feature("temperature", unit="°C", min=-50, max=100),
            Feature("pressure", unit="hPa", min=800, max=1200),
            Feature("wear", unit="mm", min=0, max=10),
        ),
        target="failure within a week",
        threshold=threshold,
        threshold_policy={"policy": "fixed"},
        score_name="failure_score",
        label_name="failure_label",
        entity="serial",
        example=Example(ROWS[0], score),
        horizon=1,
        year_suffixes=True,
    )


def _log_reference(reference: pd.DataFrame) -> None:
    import tempfile
    from pathlib import Path

    import mlflow

    place = Path(names.ARTIFACT_REFERENCE)
    with tempfile.TemporaryDirectory() as folder:
        reference.to_parquet(Path(folder) / place.name)
        mlflow.log_artifact(str(Path(folder) / place.name), str(place.parent))
