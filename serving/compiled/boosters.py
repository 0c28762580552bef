"""XGBoost, LightGBM and CatBoost models from their native file formats, which hold no code.

The libraries are optional (the extras `boosters`, for the first two, and `catboost`). A model is
called as MLflow's pyfunc calls it, or on arrays where that was verified to agree.
"""

from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from serving.compiled.agreement import agree
from serving.compiled.arrays import (
    ArrayMethod,
    Compile,
    asked,
    both_classes,
    labelled,
    numbers,
    single_precision,
)
from serving.compiled.gtil import by_size, has_categories, margins_of, rows_near_thresholds

XGBOOST_CLASSES = (
    "XGBClassifier",
    "XGBRegressor",
    "XGBRanker",
    "XGBRFClassifier",
    "XGBRFRegressor",
)
CATBOOST_CLASSES = ("CatBoost", "CatBoostClassifier", "CatBoostRegressor", "CatBoostRanker")
CATBOOST_FORMATS = ("cbm", "json")

_FEW_ROWS = 32
"""Rows up to which GTIL is faster than XGBoost's own call, with 100 to 500 trees."""


class NotData(Exception):
    """A model of such a flavour whose file is not in the library's own data format."""


class XgboostBooster:
    """A native booster, called as MLflow calls it."""

    def __init__(self, booster: Any) -> None:
        """Keep the booster."""
        self.booster = booster

    def predict(self, frame: Any, **options: Any) -> np.ndarray:
        """Return the booster's predictions for a frame (n, k)."""
        import xgboost

        known = _accepted(self.booster.predict, options)
        return self.booster.predict(xgboost.DMatrix(frame), **known)


class WithParams:
    """An XGBoost model whose signature declares parameters, which MLflow's flavour passes on.

    Those that the model's own `predict` does not accept are dropped, as in MLflow.
    """

    def __init__(self, model: Any, specs: Sequence[Mapping[str, Any]]) -> None:
        """Keep the model and the defaults."""
        self._model = model
        self._defaults = {spec["name"]: spec["default"] for spec in specs}

    def predict(self, frame: Any, params: Mapping[str, Any] | None = None) -> np.ndarray:
        """Return the model's predictions for a frame (n, k)."""
        options = {**self._defaults, **(params or {})}
        if not isinstance(self._model, XgboostBooster):
            options = _accepted(self._model.predict, options)
        return self._model.predict(frame, **options)


def _accepted(method: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    known = signature(method).parameters
    return {name: value for name, value in options.items() if name in known}


def load_xgboost(file: Path, flavor: Mapping[str, Any]) -> Any:
    """Return the model in a `.ubj`, `.json` or `.xgb` file.

    Raises:
        ImportError: the library is not installed.
        NotData: the class that the flavour names is not one of XGBoost's.
    """
    import xgboost

    module, _, name = str(flavor.get("model_class", "xgboost.core.Booster")).rpartition(".")
    if module == "xgboost.core" and name == "Booster":
        return XgboostBooster(xgboost.Booster(model_file=file))
    if module != "xgboost.sklearn" or name not in XGBOOST_CLASSES:
        raise NotData
    model = getattr(xgboost, name)()
    model.load_model(file)
    return model


def load_catboost(file: Path, flavor: Mapping[str, Any]) -> Any:
    """Return the model in a `.cb` file of CatBoost's own binary format or of JSON.

    Raises:
        ImportError: the library is not installed.
        NotData: the class that the flavour names is not one of CatBoost's, or another format.
    """
    import catboost

    name, form = flavor.get("model_type"), flavor.get("save_format", "cbm")
    if name not in CATBOOST_CLASSES or form not in CATBOOST_FORMATS:
        raise NotData
    model = getattr(catboost, name)()
    model.load_model(str(file), form)
    return model


def xgboost_booster(model: XgboostBooster, _name: str, _: Compile) -> ArrayMethod:
    """Return a booster's prediction as a function of arrays, without a DMatrix."""
    predict = model.booster.inplace_predict

    def itself(matrix: np.ndarray) -> np.ndarray:
        return predict(single_precision(matrix, True), validate_features=False)

    return _few_by_gtil(model.booster, itself)


def xgboost_model(model: Any, name: str, _: Compile) -> ArrayMethod:
    """Return a method of XGBoost's estimators, whose own call dominates the time of a request.

    Those with a number as missing value use their own method: the trees do not store that number.
    """
    itself = asked(model, name)
    if not np.isnan(model.missing):
        return itself
    finish = None
    if hasattr(model, "classes_"):
        finish = both_classes if name == "predict_proba" else labelled(model.classes_, both_classes)
    return _few_by_gtil(model.get_booster(), itself, finish)


def _few_by_gtil(
    booster: Any, itself: ArrayMethod, finish: ArrayMethod | None = None
) -> ArrayMethod:
    """Return a method that scores few rows by GTIL, where that agrees with the library's `itself`.

    `finish` converts the booster's output (n,) to the method's.
    """
    import treelite
    from scipy.special import expit

    if '"booster":"gblinear"' in booster.save_config():
        return itself  # Treelite does not support it, and would log so
    try:
        trees = treelite.frontend.from_xgboost(booster)
    except treelite.TreeliteError:
        return itself
    header = trees.get_header_accessor()
    link = header.get_field("postprocessor")
    # XGBoost's exponential and softmax differ from NumPy's in the last bit.
    if link not in ("identity", "sigmoid") or has_categories(trees):
        return itself
    margins = margins_of(trees, single=True, nullable=True)

    def few(matrix: np.ndarray) -> np.ndarray:
        found = margins(matrix)
        found = expit(found) if link == "sigmoid" else found
        return finish(found) if finish else found

    if agree(itself, few, rows_near_thresholds(trees, True)):
        return by_size(few, _FEW_ROWS, itself)
    return itself


def lightgbm_model(model: Any, name: str, _: Compile) -> ArrayMethod:
    """Return a method of LightGBM's estimators by their booster, without their costly checks."""
    booster = model.booster_

    def margins(matrix: np.ndarray) -> np.ndarray:
        return booster.predict(numbers(matrix))

    if not hasattr(model, "classes_"):
        return margins

    def probabilities(matrix: np.ndarray) -> np.ndarray:
        found = margins(matrix)
        return found if found.ndim == 2 else both_classes(found)

    if name == "predict_proba":
        return probabilities
    return labelled(model.classes_, probabilities, probabilities)


BOOSTERS = {
    "XgboostBooster": xgboost_booster,
    "XGBModel": xgboost_model,
    "LGBMModel": lightgbm_model,
    "Booster": lambda model, _name, _: lambda matrix: model.predict(numbers(matrix)),
}
