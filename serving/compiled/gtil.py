"""Tree models of any library by Treelite's GTIL: less fixed cost per call, more per row.

The libraries' own calls take from 0.1 ms to several milliseconds before they process the first row.
"""

import atexit
from functools import cache
from typing import Any

import numpy as np

from serving.compiled.arrays import ArrayMethod, Undecided, flat, numbers, single_precision

_CHECKED_ROWS = 1000
_MISSING_SHARE = 0.05
_CATEGORICAL = 2  # of Treelite's node types


def by_size(small: ArrayMethod, turn: int, large: ArrayMethod) -> ArrayMethod:
    """Return a method that uses `small` for up to `turn` rows, `large` for more."""
    return lambda matrix: small(matrix) if len(matrix) <= turn else large(matrix)


def margins_of(model: Any, single: bool, nullable: bool) -> ArrayMethod:
    """Return a function of a Treelite model's margins (n, c), or (n,) with one output.

    The trees' outputs are summed here in sequence, as the libraries do, and in the precision of the
    model: GTIL's own sum differs in the last bit, and a row's score would depend on the size of its
    batch. Values are compared in single precision if `single`, and raise Undecided if they overflow
    it, or are missing and not `nullable`.
    """
    header = model.get_header_accessor()
    start = header.get_field("base_scores")
    average = bool(header.get_field("average_tree_output")[0])
    per_tree = _per_tree(model)

    def method(matrix: np.ndarray) -> np.ndarray:
        matrix = single_precision(matrix, nullable) if single else numbers(matrix)
        if not nullable and np.isnan(matrix).any():
            raise Undecided
        # GTIL compares in the precision of its input.
        exact = matrix.astype(np.float64, copy=False)
        trees = per_tree(exact).reshape(len(matrix), -1, len(start))
        trees[:, 0] += start.astype(trees.dtype)
        margins = flat(np.add.accumulate(trees, axis=1)[:, -1])
        return margins / trees.shape[1] if average else margins

    return method


def _per_tree(model: Any) -> ArrayMethod:
    """Return a function of GTIL's output per tree (n, trees, c), with one configuration for all.

    GTIL's public function serializes and parses a JSON configuration at each call, a tenth of a
    request's time; it is the fallback where a release lacks the private one.
    """
    from treelite.gtil import gtil

    try:
        config, predict = _configuration(), gtil._predict_impl
    except (AttributeError, TypeError):
        return lambda matrix: gtil.predict_per_tree(model, matrix, nthread=1)
    return lambda matrix: predict(model, matrix, config=config)


@cache
def _configuration() -> Any:
    from treelite.gtil import gtil

    config = gtil.GTILConfig(nthread=1, predict_type="score_per_tree")
    # A configuration freed after its library writes an error to stderr at interpreter exit.
    atexit.register(config.__dict__.update, _handle=None)
    return config


def rows_near_thresholds(model: Any, nullable: bool) -> np.ndarray:
    """Return rows (n, k) whose values lie on, just below and just above the trees' thresholds."""
    fields = [model.get_tree_accessor(number) for number in range(model.num_tree)]
    split = np.concatenate([tree.get_field("split_index") for tree in fields])
    threshold = np.concatenate([tree.get_field("threshold") for tree in fields])
    rng = np.random.default_rng(0)
    rows = np.empty((_CHECKED_ROWS, model.num_feature))
    for feature in range(model.num_feature):
        known = np.unique(threshold[split == feature])
        drawn = rng.choice(known if len(known) else np.zeros(1), _CHECKED_ROWS)
        near = _neighbours(drawn)
        rows[:, feature] = near[rng.integers(0, len(near), _CHECKED_ROWS), range(_CHECKED_ROWS)]
    if nullable:
        rows[rng.random(rows.shape) < _MISSING_SHARE] = np.nan
    return rows


def _neighbours(values: np.ndarray) -> np.ndarray:
    """Return each value and its neighbours, in double and in single precision: (6, n)."""
    single = values.astype(np.float32)
    low, high = np.float32(-np.inf), np.float32(np.inf)
    doubles = [values, np.nextafter(values, -np.inf), np.nextafter(values, np.inf)]
    singles = [single, np.nextafter(single, low), np.nextafter(single, high)]
    return np.stack([*doubles, *(s.astype(np.float64) for s in singles)])


def has_categories(model: Any) -> bool:
    """Return whether a tree has a categorical split, which probes at thresholds do not cover."""
    trees = (model.get_tree_accessor(number) for number in range(model.num_tree))
    return any((tree.get_field("node_type") == _CATEGORICAL).any() for tree in trees)
