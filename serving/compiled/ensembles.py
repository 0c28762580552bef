"""Composite estimators: each part compiled, and combined as scikit-learn combines them."""

from typing import Any

import numpy as np

from serving.compiled.arrays import (
    ArrayMethod,
    Compile,
    ShortcutRefused,
    asked,
    both_classes,
    labelled,
    numbers,
)
from serving.compiled.numeric import same


def pipeline(part: Any, name: str, compile_part: Compile) -> ArrayMethod:
    """Run the steps in sequence (Pipeline)."""
    steps = [step for _, step in part.steps if step not in (None, "passthrough")]
    methods = [compile_part(step, "transform") for step in steps[:-1]]
    methods.append(compile_part(steps[-1], name))

    def method(matrix: np.ndarray) -> np.ndarray:
        for step in methods:
            matrix = step(matrix)
        return matrix

    return method


def columns(part: Any, _name: str, compile_part: Compile) -> ArrayMethod:
    """Concatenate the parts' outputs, by column positions resolved at fit (ColumnTransformer)."""
    positions = part._transformer_to_input_indices
    blocks: list[tuple[Any, ArrayMethod]] = []
    for label, transformer, _columns in part.transformers_:
        if transformer == "drop" or not len(positions[label]):
            continue
        step = same if transformer == "passthrough" else compile_part(transformer, "transform")
        blocks.append((_slice(list(positions[label])), step))

    def method(matrix: np.ndarray) -> np.ndarray:
        found = [numbers(step(matrix[:, where])) for where, step in blocks]
        return found[0] if len(found) == 1 else np.concatenate(found, axis=1)

    return method


def _slice(positions: list[int]) -> Any:
    """Return a slice where positions are consecutive, which avoids a copy."""
    first, last = positions[0], positions[-1] + 1
    return slice(first, last) if positions == list(range(first, last)) else positions


def union(part: Any, _name: str, compile_part: Compile) -> ArrayMethod:
    """Concatenate the outputs of transformers of the same columns (FeatureUnion)."""
    weights = part.transformer_weights or {}
    blocks = [
        (same if step == "passthrough" else compile_part(step, "transform"), weights.get(label, 1))
        for label, step in part.transformer_list
        if step not in ("drop", None)
    ]
    return lambda matrix: np.concatenate(
        [numbers(step(matrix)) * weight for step, weight in blocks], axis=1
    )


def calibrated(model: Any, name: str, compile_part: Compile) -> ArrayMethod:
    """Average the calibrated probabilities of each fit (CalibratedClassifierCV)."""
    if name == "predict":
        return labelled(model.classes_, calibrated(model, "predict_proba", compile_part))
    if name != "predict_proba":
        raise ShortcutRefused
    fits = [_one_calibration(fitted, compile_part) for fitted in model.calibrated_classifiers_]
    return lambda matrix: sum(fit(matrix) for fit in fits) / len(fits)  # type: ignore[return-value]


def _one_calibration(fitted: Any, compile_part: Compile) -> ArrayMethod:
    """Calibrate each class's decision value, then scale them to sum to one."""
    if fitted.method not in ("sigmoid", "isotonic"):
        raise ShortcutRefused
    decide = _decision(fitted.estimator, compile_part)
    curves = [_curve(calibrator) for calibrator in fitted.calibrators]
    count = len(fitted.classes)
    places = np.searchsorted(fitted.classes, fitted.estimator.classes_)

    def method(matrix: np.ndarray) -> np.ndarray:
        values = decide(matrix)
        if count == 2:
            return both_classes(curves[0](values))
        found = np.zeros((len(values), count))
        for place, column, curve in zip(places, values.T, curves, strict=True):
            found[:, place] = curve(column)
        total = found.sum(axis=1, keepdims=True)
        return np.divide(found, total, out=np.full_like(found, 1 / count), where=total != 0)

    return method


def _decision(estimator: Any, compile_part: Compile) -> ArrayMethod:
    if hasattr(estimator, "decision_function"):
        return compile_part(estimator, "decision_function")
    proba = compile_part(estimator, "predict_proba")
    if len(estimator.classes_) > 2:
        return proba
    return lambda matrix: proba(matrix)[:, 1]


def _curve(calibrator: Any) -> ArrayMethod:
    """Return a calibrator's curve; the sigmoid of Platt (1999) as a formula."""
    from scipy.special import expit

    if not hasattr(calibrator, "a_"):
        return asked(calibrator, "predict")
    a, b = calibrator.a_, calibrator.b_
    return lambda values: expit(-(a * values + b))


def voting(model: Any, name: str, compile_part: Compile) -> ArrayMethod:
    """Average the parts' probabilities or predictions, by the estimator's weights."""
    classifier = hasattr(model, "classes_")
    if classifier and (model.voting != "soft" or name not in ("predict", "predict_proba")):
        return asked(model, name)
    if classifier and name == "predict":
        return labelled(model.classes_, voting(model, "predict_proba", compile_part))
    parts = [compile_part(part, name) for part in model.estimators_]
    weights = model._weights_not_none or [1.0] * len(parts)
    shares = [weight / sum(weights) for weight in weights]

    def method(matrix: np.ndarray) -> np.ndarray:
        # numpy.average costs as much as a hundred trees.
        total = shares[0] * parts[0](matrix)
        for share, part in zip(shares[1:], parts[1:], strict=True):
            total += share * part(matrix)
        return total

    return method


def stacking(model: Any, name: str, compile_part: Compile) -> ArrayMethod:
    """Pass the parts' predictions to the final one (StackingClassifier, StackingRegressor)."""
    parts = list(map(compile_part, model.estimators_, model.stack_method_))
    last = compile_part(model.final_estimator_, name)
    binary = hasattr(model, "classes_") and len(model.classes_) == 2

    def method(matrix: np.ndarray) -> np.ndarray:
        blocks = []
        for part, asked_for in zip(parts, model.stack_method_, strict=True):
            block = part(matrix)
            if block.ndim == 1:
                block = block[:, None]
            elif binary and asked_for == "predict_proba":
                # The other class's probability is redundant.
                block = block[:, 1:]
            blocks.append(block)
        blocks += [numbers(matrix)] if model.passthrough else []
        return last(np.concatenate(blocks, axis=1))

    return method


ENSEMBLES = {
    "Pipeline": pipeline,
    "ColumnTransformer": columns,
    "FeatureUnion": union,
    "CalibratedClassifierCV": calibrated,
    "VotingClassifier": voting,
    "VotingRegressor": voting,
    "StackingClassifier": stacking,
    "StackingRegressor": stacking,
    "BaseSearchCV": lambda model, name, compile_part: compile_part(model.best_estimator_, name),
}
