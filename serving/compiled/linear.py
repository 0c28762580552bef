"""Linear models: one matrix product, and its conversion to probabilities or labels."""

from typing import Any

import numpy as np

from serving.compiled.arrays import (
    ArrayMethod,
    Compile,
    asked,
    both_classes,
    finite,
    flat,
    labelled,
)


def regressor(model: Any, _name: str, _: Compile) -> ArrayMethod:
    """Return a linear regression's `predict`."""
    product, start = _product(model.coef_), model.intercept_
    return lambda matrix: product(finite(matrix)) + start


def classifier(model: Any, name: str, _: Compile) -> ArrayMethod:
    """Return a linear classifier's method."""
    product, start = _product(model.coef_), model.intercept_

    def decide(matrix: np.ndarray) -> np.ndarray:
        return flat(product(finite(matrix)) + start)

    if name == "decision_function":
        return decide
    if name == "predict":
        return labelled(np.asarray(model.classes_), decide)
    if name != "predict_proba" or type(model).__name__ not in _LOGISTIC:
        return asked(model, name)
    return probabilities(decide)


def _product(coefficients: Any) -> ArrayMethod:
    """Return the product of rows (n, k) with coefficients (k,) or (c, k), row by row.

    BLAS sums in an order that depends on the number of rows: a row's last bit would depend on the
    other requests in its batch. In single precision the two products differ by more than the last
    bit, so the estimator's own is used.
    """
    weights = np.ascontiguousarray(coefficients)
    form = "ij,j->i" if weights.ndim == 1 else "ij,kj->ik"

    def product(matrix: np.ndarray) -> np.ndarray:
        if np.result_type(matrix, weights) != np.float64:
            return matrix @ weights.T
        return np.einsum(form, np.ascontiguousarray(matrix), weights)

    return product


_LOGISTIC = ("LogisticRegression", "LogisticRegressionCV")


def probabilities(decide: ArrayMethod) -> ArrayMethod:
    """Return the logistic function of decision values (n,), or the softmax of values (n, c)."""
    from scipy.special import expit, softmax

    def method(matrix: np.ndarray) -> np.ndarray:
        values = decide(matrix)
        if values.ndim == 2:
            return softmax(values, axis=1)
        return both_classes(expit(values))

    return method


LINEAR = {
    "LinearModel": regressor,
    "BaseSGDRegressor": regressor,
    "LinearClassifierMixin": classifier,
}
