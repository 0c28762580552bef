"""Rename the input columns of a fitted scikit-learn estimator and of all its parts.

scikit-learn has no such operation, so the names are replaced in its attributes: in lists and arrays
of names (`feature_names_in_`, the columns of a `ColumnTransformer`). The caller must compare the
scores before and after.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd


def rename_inputs(estimator: Any, names: Mapping[str, str]) -> None:
    """Replace column names by `names` (old → new) in an estimator and all its parts."""
    _visit(estimator, names, set())


def _visit(part: Any, names: Mapping[str, str], seen: set[int]) -> None:
    if id(part) in seen:
        return
    seen.add(id(part))
    for key, value in list(vars(part).items()):
        vars(part)[key] = _replaced(value, names, seen)


def _replaced(value: Any, names: Mapping[str, str], seen: set[int]) -> Any:
    """Return the value with its names replaced; parts of scikit-learn are changed in place."""
    if type(value).__module__.startswith("sklearn.") and hasattr(value, "__dict__"):
        _visit(value, names, seen)
        return value
    if isinstance(value, np.ndarray) and value.dtype == object:
        flat = [_element(one, names, seen) for one in value.ravel()]
        result = np.empty(len(flat), dtype=object)
        result[:] = flat
        return result.reshape(value.shape)
    if isinstance(value, pd.Index):
        return value.map(lambda name: names.get(name, name))
    if type(value) in (list, tuple):
        return type(value)(_element(one, names, seen) for one in value)
    if type(value) is dict:
        return {key: _replaced(one, names, seen) for key, one in value.items()}
    return value


def _element(value: Any, names: Mapping[str, str], seen: set[int]) -> Any:
    if isinstance(value, str):
        return names.get(value, value)
    return _replaced(value, names, seen)
