"""Linear models: one product of matrices, and what makes it a probability or a label."""

from typing import Any

import numpy as np

from serving.model.arrays import ArrayMethod, Compile, asked, finite, labelled


def regressor(model: Any, name: str, _: Compile) -> ArrayMethod:
    """Return a linear regression's `predict`."""
    if name != "predict":
        return asked(model, name)
    weights, start = np.asarray(model.coef_).T, model.intercept_
    return lambda matrix: finite(matrix) @ weights + start


def classifier(model: Any, name: str, _: Compile) -> ArrayMethod:
    """Return a linear classifier's method."""
    weights, start = np.asarray(model.coef_).T, model.intercept_

    def decide(matrix: np.ndarray) -> np.ndarray:
        values: np.ndarray = finite(matrix) @ weights + start
        return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values

    if name == "decision_function":
        return decide
    if name == "predict":
        return labelled(np.asarray(model.classes_), decide)
    if name != "predict_proba" or type(model).__name__ not in _LOGISTIC:
        return asked(model, name)
    return probabilities(decide)


_LOGISTIC = ("LogisticRegression", "LogisticRegressionCV")


def probabilities(decide: ArrayMethod) -> ArrayMethod:
    """Return the logistic function of decision values (n,), the softmax of those (n, c)."""
    from scipy.special import expit, softmax

    def method(matrix: np.ndarray) -> np.ndarray:
        values = decide(matrix)
        if values.ndim == 2:
            return softmax(values, axis=1)
        positive = expit(values)
        return np.stack((1 - positive, positive), axis=1)

    return method


LINEAR = {
    "LinearModel": regressor,
    "BaseSGDRegressor": regressor,
    "LinearClassifierMixin": classifier,
}
