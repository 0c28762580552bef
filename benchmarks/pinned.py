"""Models of the benchmarks: a pinned boosting, and a champion fitted as training fits it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.contract import names
from mlflow_project.dataset.risk import EXAMPLE_INSTANCE, FEATURE_NAMES, build_contract
from mlflow_project.modelling.pipeline import TRUSTED_TYPES, build_pipeline

PINNED, CHAMPION = "bench-pinned", "bench-champion"


def training_rows(rows: int = 800) -> tuple[pd.DataFrame, pd.Series]:
    """Return synthetic rows within the contract's ranges, a tenth missing, and targets."""
    rng = np.random.default_rng(0)
    features = build_contract("v1.0.0", 0.5, {}, 0.5).features
    low = np.array([0.0 if f.min is None else f.min for f in features])
    high = np.array([10.0 if f.max is None else f.max for f in features])
    values = rng.uniform(low, high, (rows, len(features))).round(1)
    weights = rng.normal(size=len(features)) / (high - low)
    signal = values @ weights
    target = signal + rng.normal(0, signal.std(), rows) > np.median(signal)
    values[rng.random(values.shape) < 0.1] = np.nan
    return pd.DataFrame(values, columns=FEATURE_NAMES), pd.Series(target.astype(int))


def instances(rows: int) -> list[dict[str, float]]:
    """Return so many instances, without missing values since not every peer accepts them."""
    frame, _ = training_rows(max(rows, 800))
    filled = frame.fillna(frame.median()).iloc[:rows]
    return [dict(zip(FEATURE_NAMES, row, strict=True)) for row in filled.to_numpy().tolist()]


def fit_pinned(frame: Any, target: pd.Series) -> Any:
    """Return the pinned classifier: 150 trees of depth 3."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=150, max_depth=3, early_stopping=False, random_state=0
    ).fit(frame, target)


def register(tracking_uri: str, peers: Path) -> Any:
    """Register both models, the pinned one also as challenger; dump and return the pinned one."""
    import joblib  # type: ignore[import-untyped]
    import mlflow

    mlflow.set_tracking_uri(tracking_uri)
    frame, target = training_rows()
    pinned = fit_pinned(frame, target)
    joblib.dump(fit_pinned(frame.to_numpy(), target), peers)
    register_version(PINNED, pinned)
    register_version(PINNED, pinned, names.CHALLENGER)
    register_version(CHAMPION, fit_champion(frame, target))
    return pinned


def fit_champion(frame: pd.DataFrame, target: pd.Series) -> Any:
    """Return a pipeline fitted as training fits it."""
    return build_pipeline(0).fit(frame, target)


def register_version(
    name: str, model: Any, alias: str = names.CHAMPION, release: str = "v1.0.0"
) -> int:
    """Log a model with a contract, register it, and point an alias at it; return its number."""
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    example = pd.DataFrame([EXAMPLE_INSTANCE])[list(FEATURE_NAMES)].astype(float)
    contract = build_contract(release, 0.5, {}, float(model.predict_proba(example)[0, 1]))
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(
            model,
            name="model",
            signature=ModelSignature(
                Schema([ColSpec("double", feature) for feature in FEATURE_NAMES]),
                Schema([TensorSpec(np.dtype("float64"), (-1, 2))]),
            ),
            metadata={names.METADATA_CONTRACT: contract.to_dict()},
            pip_requirements=["scikit-learn"],
            serialization_format="skops",
            skops_trusted_types=list(TRUSTED_TYPES),
            pyfunc_predict_fn="predict_proba",
        )
    version = mlflow.register_model(info.model_uri, name)
    client = mlflow.MlflowClient()
    client.set_registered_model_alias(name, alias, version.version)
    return int(version.version)
