"""Tree ensembles without scikit-learn's fixed cost per call, a millisecond or more.

Small matrices go through GTIL and large ones through scikit-learn, where both were verified to
agree. Where they do not, the trees are evaluated one by one, with scikit-learn's own arithmetic.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from serving.compiled.agreement import agree
from serving.compiled.arrays import (
    ArrayMethod,
    Compile,
    ShortcutRefused,
    asked,
    flat,
    labelled,
    numbers,
    single_precision,
)
from serving.compiled.gtil import by_size, margins_of, rows_near_thresholds
from serving.compiled.linear import probabilities

SMALL_ROWS = 128
"""Rows up to which GTIL is faster for a boosting model, whose trees are small."""
FEW_ROWS = 8
"""Rows up to which GTIL is faster for a forest."""


def ensemble(estimator: Any, name: str, compile_part: Compile) -> ArrayMethod:
    """Return an ensemble's method, by GTIL if that agrees, else tree by tree."""
    if name == "predict" and hasattr(estimator, "classes_"):
        values = "decision_function" if hasattr(estimator, "decision_function") else "predict_proba"
        quick = ensemble(estimator, values, compile_part)
        return labelled(estimator.classes_, quick, _tree_by_tree(estimator, values, compile_part))
    plain = _tree_by_tree(estimator, name, compile_part)
    # A forest's trees are deep: scikit-learn's own traversal is faster from a few rows on.
    forest = hasattr(estimator, "estimators_samples_")
    turn, large = (FEW_ROWS, plain) if forest else (SMALL_ROWS, asked(estimator, name))
    try:
        return by_size(compile_trees(estimator, name, plain), turn, large)
    except ShortcutRefused:
        return plain


def _tree_by_tree(estimator: Any, name: str, compile_part: Compile) -> ArrayMethod:
    """Return an ensemble's method without Treelite, equal to the last bit."""
    if hasattr(estimator, "_bin_mapper"):
        return _finished(estimator, name, _boosting(estimator, compile_part))
    if hasattr(estimator, "estimators_samples_"):
        return _mean(estimator, name, estimator.estimators_)
    return asked(estimator, name)


def compile_trees(estimator: Any, name: str, plain: ArrayMethod) -> ArrayMethod:
    """Return the estimator's method `name` by GTIL, which agrees with `plain`.

    Some ensembles compare in float32, others in float64. Both are tried, on probes at the
    thresholds and their floating-point neighbours, which distinguish them.

    Raises:
        ShortcutRefused: Treelite cannot import the estimator, or differs from it.
    """
    import treelite
    import treelite.sklearn

    try:
        model = treelite.sklearn.import_model(estimator)
    except (treelite.TreeliteError, AssertionError, NotImplementedError) as exc:
        raise ShortcutRefused from exc
    nullable = estimator.__sklearn_tags__().input_tags.allow_nan
    rows = rows_near_thresholds(model, nullable)
    for single in (False, True):
        method = _finished(estimator, name, margins_of(model, single, nullable))
        if agree(plain, method, rows):
            return method
    raise ShortcutRefused


def _finished(estimator: Any, name: str, margins: ArrayMethod) -> ArrayMethod:
    """Return the method's output as a function of rows, from their margins (n, c) or (n,).

    GTIL's own softmax is not used: it is in single precision. A forest's margins are probabilities
    already.
    """
    if name == "predict_proba" and hasattr(estimator, "decision_function"):
        return probabilities(margins)
    if name == "predict" and hasattr(estimator, "_bin_mapper"):
        link = estimator._loss.link
        return lambda matrix: link.inverse(margins(matrix))
    return margins


def _boosting(estimator: Any, compile_part: Compile) -> ArrayMethod:
    """Return a histogram boosting's margins (n, c), or (n,) with one: the sum over its trees."""
    prepare = estimator._preprocessor and compile_part(estimator._preprocessor, "transform")
    known, places = estimator._bin_mapper.make_known_categories_bitsets()
    start = estimator._baseline_prediction

    def method(matrix: np.ndarray) -> np.ndarray:
        matrix = np.ascontiguousarray(prepare(matrix) if prepare else numbers(matrix), np.float64)
        margins = np.zeros((len(matrix), estimator.n_trees_per_iteration_), start.dtype, "F")
        margins += start
        for trees in estimator._predictors:
            for column, tree in enumerate(trees):
                margins[:, column] += tree.predict(matrix, known, places, 1)
        return flat(margins)

    return method


def _mean(estimator: Any, name: str, members: Sequence[Any]) -> ArrayMethod:
    """Return the mean over a forest's trees, in their order."""
    if estimator.n_outputs_ != 1:
        return asked(estimator, name)
    first, *others = (member.tree_ for member in members)
    nullable = estimator.__sklearn_tags__().input_tags.allow_nan

    def method(matrix: np.ndarray) -> np.ndarray:
        rows = single_precision(matrix, nullable)
        total = first.predict(rows)
        for other in others:
            total += other.predict(rows)
        if others:
            total /= len(members)
        return total[:, 0] if name == "predict" else total

    return method


def tree(estimator: Any, name: str, _: Compile) -> ArrayMethod:
    """Return a single tree's method, as a forest of one: its own checks cost more than scoring."""
    if name == "predict" and hasattr(estimator, "classes_") and estimator.n_outputs_ == 1:
        shares = _mean(estimator, "predict_proba", [estimator])
        return lambda matrix: estimator.classes_.take(shares(matrix).argmax(axis=1), axis=0)
    return _mean(estimator, name, [estimator])


_FAMILIES = ("HistGradientBoosting", "GradientBoosting", "RandomForest", "ExtraTrees")
TREES: dict[str, Callable[[Any, str, Compile], ArrayMethod]] = {
    **{f"{family}{kind}": ensemble for family in _FAMILIES for kind in ("Classifier", "Regressor")},
    "DecisionTreeClassifier": tree,
    "DecisionTreeRegressor": tree,
}
