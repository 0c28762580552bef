"""Tree ensembles through Treelite's GTIL, which spares scikit-learn's fixed cost per call.

scikit-learn needs about a millisecond to begin; GTIL begins at once and is slower per row. So small
matrices go through GTIL and large ones through scikit-learn, where both were seen to agree.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

ArrayMethod = Callable[[np.ndarray], np.ndarray]
"""A method of an estimator as a function of one float64 matrix (n, k)."""

SMALL_ROWS = 128
"""Rows up to which GTIL is the faster one."""

TOLERANCE = 1e-12
"""Largest difference, absolute and relative, between a shortcut and what it replaces."""

_CHECKED_ROWS = 1000
_METHODS = ("decision_function", "predict_proba", "predict")


class ShortcutRefused(Exception):
    """There is no shortcut, or it differs from what it should replace."""


def compile_trees(estimator: Any, name: str, plain: ArrayMethod) -> ArrayMethod:
    """Return `plain`, the estimator's method `name`, with GTIL for small matrices.

    Some ensembles compare in float32, others in float64. Which one it is, is tried: the thresholds
    and their neighbours tell them apart.

    Raises:
        ShortcutRefused: Treelite cannot import the estimator, or differs from it.
    """
    import treelite
    import treelite.sklearn

    if name not in _METHODS:
        raise ShortcutRefused
    try:
        model = treelite.sklearn.import_model(estimator)
    except (treelite.TreeliteError, AssertionError, NotImplementedError) as exc:
        raise ShortcutRefused from exc
    rows = _rows_near_thresholds(model)
    finish = _finisher(estimator, name)
    for rounded in (False, True):
        method = _gtil(model, finish, rounded)
        if agree(plain, method, rows):
            return lambda matrix, small=method: (  # type: ignore[misc]
                small(matrix) if len(matrix) <= SMALL_ROWS else plain(matrix)
            )
    raise ShortcutRefused


def agree(plain: Callable[[Any], Any], shortcut: ArrayMethod, rows: np.ndarray) -> bool:
    """Tell whether both give the same for `rows`: all at once, in small batches, and singly."""
    batches = [rows, *(rows[i : i + SMALL_ROWS] for i in range(0, len(rows), SMALL_ROWS))]
    for batch in [*batches, *(rows[i : i + 1] for i in range(min(8, len(rows))))]:
        expected, found = np.asarray(plain(batch)), shortcut(batch)
        if found.shape != expected.shape:
            return False
        if not np.allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True):
            return False
    return True


def _gtil(model: Any, finish: Callable[[np.ndarray], np.ndarray], rounded: bool) -> ArrayMethod:
    from treelite import gtil

    def method(matrix: np.ndarray) -> np.ndarray:
        if rounded:
            matrix = matrix.astype(np.float32).astype(np.float64)
        return finish(gtil.predict(model, matrix, nthread=1, pred_margin=True)[:, 0, :])

    return method


def _finisher(estimator: Any, name: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return what makes GTIL's margins (n, c) the method's output.

    GTIL's own softmax is in single precision. A forest's margins are probabilities already.
    """
    from scipy.special import expit, softmax

    if name != "predict_proba" or not hasattr(estimator, "decision_function"):
        return lambda margins: margins[:, 0] if margins.shape[1] == 1 else margins

    def probabilities(margins: np.ndarray) -> np.ndarray:
        if margins.shape[1] > 1:
            return softmax(margins, axis=1)
        positive = expit(margins)
        return np.concatenate((1 - positive, positive), axis=1)

    return probabilities


def _rows_near_thresholds(model: Any) -> np.ndarray:
    """Return rows (n, k) whose values lie on, just below and just above the trees' thresholds.

    Missing values are left to the probes of the whole model, which know where null is allowed.
    """
    fields = [model.get_tree_accessor(number) for number in range(model.num_tree)]
    split = np.concatenate([tree.get_field("split_index") for tree in fields])
    threshold = np.concatenate([tree.get_field("threshold") for tree in fields])
    rng = np.random.default_rng(0)
    rows = np.empty((_CHECKED_ROWS, model.num_feature))
    for feature in range(model.num_feature):
        known = np.unique(threshold[split == feature])
        if not len(known):
            known = np.zeros(1)
        drawn = rng.choice(known, _CHECKED_ROWS)
        single = drawn.astype(np.float32)
        neighbours = np.stack(
            [
                drawn,
                np.nextafter(drawn, -np.inf),
                np.nextafter(drawn, np.inf),
                single.astype(np.float64),
                np.nextafter(single, np.float32(-np.inf)).astype(np.float64),
                np.nextafter(single, np.float32(np.inf)).astype(np.float64),
            ]
        )
        rows[:, feature] = neighbours[
            rng.integers(0, len(neighbours), _CHECKED_ROWS), range(_CHECKED_ROWS)
        ]
    return rows
