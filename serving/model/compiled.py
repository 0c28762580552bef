"""An estimator's method as plain functions on arrays: no frames, no checks repeated at every call.

Known parts of scikit-learn are rewritten as the arithmetic they do; any other part is asked itself,
with an array in place of a frame. Whoever uses the result compares it with the estimator first
(`serving.model.shortcut`), so that a part that changes with scikit-learn is found and not trusted.
"""

import copy
from typing import Any

import numpy as np

from serving.model.trees import ArrayMethod, ShortcutRefused, compile_trees


def compile_method(estimator: Any, name: str) -> ArrayMethod:
    """Return the estimator's method `name` as a function of a float64 matrix (n, k).

    Raises:
        ShortcutRefused: a part of the estimator cannot take arrays.
    """
    kind = type(estimator)
    known = _COMPILERS.get(kind.__name__) if kind.__module__.startswith("sklearn.") else None
    try:
        return (known or _ask)(estimator, name)
    except (AttributeError, KeyError, IndexError) as exc:
        raise ShortcutRefused from exc


def _ask(estimator: Any, name: str) -> ArrayMethod:
    """Return the method of a copy that has forgotten its columns' names.

    With names scikit-learn warns of a matrix without them, at every call.
    """
    nameless = copy.copy(estimator)
    nameless.__dict__.pop("feature_names_in_", None)
    method: ArrayMethod = getattr(nameless, name)
    return method


def _pipeline(pipeline: Any, name: str) -> ArrayMethod:
    *before, last = [part for _, part in pipeline.steps if part not in (None, "passthrough")]
    steps = [compile_method(part, "transform") for part in before]
    steps.append(compile_method(last, name))

    def method(matrix: np.ndarray) -> np.ndarray:
        for step in steps:
            matrix = step(matrix)
        return matrix

    return method


def _imputer(imputer: Any, name: str) -> ArrayMethod:
    """Fill in the statistics; a kind that adds or drops columns is asked itself."""
    statistics = np.asarray(imputer.statistics_)
    plain = statistics.dtype == np.float64 and not np.isnan(statistics).any()
    if imputer.add_indicator or not np.isnan(imputer.missing_values) or not plain:
        return _ask(imputer, name)
    return lambda matrix: np.where(np.isnan(matrix), statistics, matrix)


def _function(transformer: Any, name: str) -> ArrayMethod:
    if transformer.validate or transformer.kw_args or name != "transform":
        return _ask(transformer, name)
    return transformer.func or _same


def _same(matrix: np.ndarray) -> np.ndarray:
    return matrix


def _columns(transformer: Any, _: str) -> ArrayMethod:
    """Put the parts side by side, columns found by the positions that fitting resolved."""
    positions = transformer._transformer_to_input_indices
    blocks: list[tuple[Any, ArrayMethod]] = []
    for name, part, _columns in transformer.transformers_:
        if part == "drop" or not positions[name]:
            continue
        step = _same if part == "passthrough" else compile_method(part, "transform")
        blocks.append((_slice(positions[name]), step))

    def method(matrix: np.ndarray) -> np.ndarray:
        return np.concatenate([step(matrix[:, where]) for where, step in blocks], axis=1)

    return method


def _slice(positions: list[int]) -> Any:
    """Return a slice where positions follow each other: it costs no copy."""
    first, last = positions[0], positions[-1] + 1
    return slice(first, last) if positions == list(range(first, last)) else positions


def _calibrated(model: Any, name: str) -> ArrayMethod:
    """Average the sigmoids of a binary classifier's decision values (Platt, 1999)."""
    from scipy.special import expit

    if name != "predict_proba":
        raise ShortcutRefused
    parts = []
    for fitted in model.calibrated_classifiers_:
        if fitted.method != "sigmoid" or len(fitted.calibrators) != 1:
            raise ShortcutRefused
        (sigmoid,) = fitted.calibrators
        parts.append(
            (compile_method(fitted.estimator, "decision_function"), sigmoid.a_, sigmoid.b_)
        )

    def method(matrix: np.ndarray) -> np.ndarray:
        positive = sum(expit(-(a * decide(matrix) + b)) for decide, a, b in parts) / len(parts)
        return np.stack((1 - positive, positive), axis=1)

    return method


def _trees(estimator: Any, name: str) -> ArrayMethod:
    plain = _ask(estimator, name)
    try:
        return compile_trees(estimator, name, plain)
    except ShortcutRefused:
        return plain


_TREES = [
    f"{family}{kind}"
    for family in ("HistGradientBoosting", "GradientBoosting", "RandomForest", "ExtraTrees")
    for kind in ("Classifier", "Regressor")
]
_COMPILERS = {
    "Pipeline": _pipeline,
    "SimpleImputer": _imputer,
    "FunctionTransformer": _function,
    "ColumnTransformer": _columns,
    "CalibratedClassifierCV": _calibrated,
    **dict.fromkeys(_TREES, _trees),
}
