"""Conversion of rows to an estimator's input: the typed frame or matrix of the signature.

It casts as pyfunc does: a `float` column is rounded to 32 bits, and a model fitted on an array gets
an array.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from core.contract.derived import label_of
from core.contract.model import Feature
from core.contract.types import FEATURE_TYPES

Rows = Sequence[Sequence[Any]]
"""A value per feature and row, None for null."""

_NARROW = {"float": "float32", "integer": "int32"}


class Inputs:
    """Converter of rows to an estimator's input.

    Args:
        features: the k features in the order the estimator takes them.
        specs: the signature's input schema as plain data, which states narrow types and tensors.
    """

    def __init__(self, features: Sequence[Feature], specs: Sequence[Mapping[str, Any]] = ()):
        """Resolve the types of the columns."""
        self.features = features
        self._tensor: str | None = None
        if [spec.get("type") for spec in specs] == ["tensor"]:
            self._tensor = str(specs[0]["tensor-spec"]["dtype"])
            specs = ()
        narrow = [_NARROW.get(str(spec.get("type"))) for spec in specs]
        self._narrow = dict(zip((f.name for f in features), narrow, strict=False))
        # Labels of pandas' own string type would needlessly load Arrow's compute functions.
        labels = [label_of(place, spec) for place, spec in enumerate(specs)]
        self._columns = pd.Index(labels or [feature.name for feature in features], dtype=object)
        self._numeric = not any(narrow) and all(feature.type == "double" for feature in features)
        self._text = any(feature.type == "string" for feature in features)
        self._rounded = [i for i, kind in enumerate(narrow) if kind == "float32"]
        single = bool(features) and len(self._rounded) == len(features)
        self._dtype = np.dtype(self._tensor or ("float32" if single else "float64"))

    def __call__(self, rows: Rows) -> Any:
        """Return the rows as the estimator's own methods take them: a frame or matrix (n, k)."""
        if self._tensor is not None:
            return np.array(rows, dtype=self._dtype)
        if self._numeric:
            matrix = np.array(rows, dtype=np.float64).reshape(len(rows), len(self._columns))
            return pd.DataFrame(matrix, columns=self._columns, copy=False)
        columns = zip(*rows, strict=True)
        typed = [self._column(f, v) for f, v in zip(self.features, columns, strict=True)]
        return pd.concat(typed, axis=1).set_axis(self._columns, axis=1)

    def matrix(self, rows: Rows) -> np.ndarray:
        """Return the rows as one matrix (n, k) for compiled methods.

        It holds numbers, NaN for null; or objects, None for null, where a feature is text.
        """
        if self._text:
            matrix = np.array(rows, dtype=object)
            for column in self._rounded:
                matrix[:, column] = matrix[:, column].astype(np.float32)
            return matrix
        matrix = np.array(rows, dtype=self._dtype)
        if self._rounded and matrix.dtype == np.float64:
            matrix[:, self._rounded] = matrix[:, self._rounded].astype(np.float32)
        return matrix

    def _column(self, feature: Feature, values: Sequence[Any]) -> pd.Series:
        """Return one column; a null makes an integer a double and a boolean an object."""
        narrow = self._narrow.get(feature.name)
        kind = FEATURE_TYPES[feature.type]
        dtype = narrow or kind.pandas
        if None in values and not (feature.type == "double" and narrow):
            dtype = kind.with_nulls
        return pd.Series(list(values), name=feature.name, dtype=dtype)
