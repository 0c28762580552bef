"""Models registered as by a plain script: without contract and without code of this project."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

TEXT, NUMBERS = ["city", "plan"], ["age", "months", "spend", "calls", "late", "visits"]
_ROWS, _TREES = 2000, 200


@dataclass(frozen=True, slots=True)
class PlainModel:
    """A model of the benchmark, with its goals.

    Attributes:
        name: of the registered model.
        title: its description in the results.
        columns: its inputs.
        build: returns it, unfitted; the target is a class unless `amount` is set.
        predict_fn: the method that pyfunc calls.
        flavor: MLflow's flavor.
        least: goal as a multiple of the rate of `mlflow models serve`, at 1, 16, 64 connections.
    """

    name: str
    title: str
    columns: Sequence[str]
    build: Callable[[], Any]
    least: tuple[int, int, int]
    predict_fn: str = "predict_proba"
    flavor: str = "sklearn"
    amount: bool = False


def customers() -> pd.DataFrame:
    """Return synthetic customers: two text columns, six numeric ones."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "city": rng.choice([f"city {number}" for number in range(12)], _ROWS),
            "plan": rng.choice(["basic", "family", "business"], _ROWS),
            "age": rng.integers(18, 90, _ROWS).astype(float),
            "months": rng.integers(1, 120, _ROWS).astype(float),
            "spend": rng.gamma(2, 40, _ROWS).round(2),
            "calls": rng.poisson(2, _ROWS).astype(float),
            "late": rng.poisson(1, _ROWS).astype(float),
            "visits": rng.normal(10, 3, _ROWS).round(1),
        }
    )
    return frame.astype(dict.fromkeys(TEXT, "str"))


def _amounts(frame: pd.DataFrame) -> pd.Series:
    noise = np.random.default_rng(1).normal(0, 12, len(frame))
    return 0.2 * frame["spend"] + 4 * frame["late"] - 0.1 * frame["months"] + noise


def _boosting() -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=150, max_depth=3, early_stopping=False, random_state=0
    )


def _one_hot() -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), TEXT), (StandardScaler(), NUMBERS)
    )
    return make_pipeline(columns, LogisticRegression(max_iter=1000))


def _ordinal() -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return make_pipeline(
        make_column_transformer((codes, TEXT), remainder="passthrough"), _boosting()
    )


def _forest() -> Any:
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(_TREES, random_state=0)


def _xgboost() -> Any:
    import xgboost

    return xgboost.XGBRegressor(n_estimators=_TREES, max_depth=4, n_jobs=1)


class _Lightgbm:
    """An estimator that fits a native booster, which MLflow stores as text."""

    def fit(self, frame: pd.DataFrame, target: pd.Series) -> Any:
        import lightgbm

        options = {"objective": "regression", "verbose": -1, "num_threads": 1}
        return lightgbm.train(options, lightgbm.Dataset(frame, target), _TREES)


MODELS = (
    PlainModel("plain-boosting", "boosting, 150 trees", NUMBERS, _boosting, (15, 50, 50)),
    PlainModel(
        "plain-one-hot",
        "one-hot, scaler, logistic regression",
        [*TEXT, *NUMBERS],
        _one_hot,
        (8, 25, 25),
    ),
    PlainModel(
        "plain-ordinal", "ordinal codes, boosting", [*TEXT, *NUMBERS], _ordinal, (8, 25, 25)
    ),
    PlainModel(
        "plain-forest",
        "random forest, 200 trees, regression",
        NUMBERS,
        _forest,
        (8, 25, 25),
        predict_fn="predict",
        amount=True,
    ),
    PlainModel(
        "plain-xgboost",
        "XGBoost, 200 trees, natively",
        NUMBERS,
        _xgboost,
        (10, 30, 30),
        predict_fn="predict",
        flavor="xgboost",
        amount=True,
    ),
    PlainModel(
        "plain-lightgbm",
        "LightGBM, 200 trees, natively",
        NUMBERS,
        _Lightgbm,
        (10, 30, 30),
        predict_fn="predict",
        flavor="lightgbm",
        amount=True,
    ),
)


def row(model: PlainModel) -> dict[str, Any]:
    """Return the row that requests send."""
    first = customers()[list(model.columns)].iloc[0].items()
    return {str(k): v if isinstance(v, str) else float(v) for k, v in first}


def register(model: PlainModel, folder: Path, contract: bool = False) -> Path:
    """Fit a model, register it as MLflow documents it, and dump it; return the dump's path.

    With `contract` the same fit is also registered as `<name>-contract`, with a contract.
    """
    import joblib  # type: ignore[import-untyped]
    import mlflow
    from mlflow.models import infer_signature

    frame = customers()[list(model.columns)]
    amounts = _amounts(customers())
    target = amounts if model.amount else (amounts > amounts.median()).astype(int)
    fitted = model.build().fit(frame, target)
    # The same fit, for the hand-written app and LitServe, which load a pickle.
    file = folder / f"{model.name}.joblib"
    joblib.dump(fitted, file)
    output = getattr(fitted, model.predict_fn)(frame[:5])
    options: dict[str, Any] = {
        "signature": infer_signature(frame, output),
        "pip_requirements": ["scikit-learn"],
    }
    if model.flavor == "sklearn":
        options |= {"pyfunc_predict_fn": model.predict_fn, "skops_trusted_types": _asked(fitted)}
    _log(model.name, fitted, model.flavor, options)
    if contract:
        _log(f"{model.name}-contract", fitted, model.flavor, {**options, **_stated(model, fitted)})
    mlflow.flush_async_logging()
    return file


def _log(name: str, fitted: Any, flavor: str, options: dict[str, Any]) -> None:
    import importlib

    import mlflow

    module = importlib.import_module(f"mlflow.{flavor}")
    with mlflow.start_run():
        info = module.log_model(fitted, name="model", registered_model_name=name, **options)
    mlflow.MlflowClient().set_registered_model_alias(
        name, "champion", str(info.registered_model_version)
    )


def _stated(model: PlainModel, fitted: Any) -> dict[str, Any]:
    """Return the logging options whose metadata has a contract."""
    from core.contract import names
    from core.contract.model import Example, Feature, ModelContract

    first = row(model)
    score = float(fitted.predict_proba(pd.DataFrame([first]))[0, 1])
    features = tuple(
        Feature(name, "string" if name in TEXT else "double", nullable=False)
        for name in model.columns
    )
    contract = ModelContract("v1.0.0", features, "churn", 0.5, example=Example(first, score))
    return {"metadata": {names.METADATA_CONTRACT: contract.to_dict()}}


def _asked(fitted: Any) -> list[str]:
    import skops.io

    found: list[str] = skops.io.get_untrusted_types(data=skops.io.dumps(fitted))
    return found
