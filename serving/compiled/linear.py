"""Linear models: one product of matrices, and what makes it a probability or a label."""

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
    """Return the product of rows (n, k) with coefficients (k,) or (c, k), each row by itself.

    A product by BLAS sums in an order that depends on how many rows there are: a row's last bit
    would depend on the requests that came beside it. In single precision the difference is more
    than a last bit, and what the estimator answers itself is kept.
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
    """Return the logistic function of decision values (n,), the softmax of those (n, c)."""
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
