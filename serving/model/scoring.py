"""From rows to scores: the same numbers as `mlflow.pyfunc` gives, without its per-call cost.

The plain path makes the typed frame that the signature describes and calls the estimator, as pyfunc
does. Where a shortcut on bare arrays was seen to agree with it, that one is taken.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from core.contract.model import Feature
from core.contract.types import FEATURE_TYPES
from serving.errors import ScoringFailed
from serving.model.shortcut import verified_shortcut


class Scorer:
    """Scores rows of one version.

    Args:
        method: the estimator's bound method that its pyfunc flavour names; takes a frame (n, k).
        features: the k features in the order the pipeline takes them.
        positive_class: element of an output row that is the score, where rows are vectors.
    """

    def __init__(
        self, method: Callable[[Any], Any], features: Sequence[Feature], positive_class: int
    ) -> None:
        """Keep the method and the columns."""
        self._method = method
        self._features = features
        # Labels of pandas' own string type would load Arrow's compute functions for nothing.
        self._columns = pd.Index([feature.name for feature in features], dtype=object)
        self._numeric = all(feature.type == "double" for feature in features)
        self._positive_class = positive_class
        self.shortcut = verified_shortcut(method, features, self.frame)

    def __call__(self, rows: Sequence[Sequence[Any]]) -> list[float]:
        """Return the score of each row; rows hold a value per feature, None for null.

        Raises:
            ScoringFailed: the model raised, or a score is not finite.
        """
        try:
            output = self.output(rows)
            scores = output[:, self._positive_class] if output.ndim == 2 else output
            finite = bool(np.isfinite(scores).all())
        except Exception as exc:
            raise ScoringFailed(type(exc).__name__) from exc
        if not finite or len(scores) != len(rows):
            raise ScoringFailed("resultado não finito ou incompleto")
        result: list[float] = scores.astype(float, copy=False).tolist()
        return result

    def output(self, rows: Sequence[Sequence[Any]]) -> np.ndarray:
        """Return what the estimator's method returns for the rows: (n,) or (n, c)."""
        if self.shortcut is not None:
            return self.shortcut(np.array(rows, dtype=np.float64))
        return np.asarray(self._method(self.frame(rows)))

    def frame(self, rows: Sequence[Sequence[Any]]) -> pd.DataFrame:
        """Return the rows as the typed frame (n, k) that the version's signature describes."""
        if self._numeric:
            matrix = np.array(rows, dtype=np.float64)
            return pd.DataFrame(matrix, columns=self._columns, copy=False)
        columns = zip(*rows, strict=True)
        typed = [_column(f, v) for f, v in zip(self._features, columns, strict=True)]
        return pd.concat(typed, axis=1)


def _column(feature: Feature, values: Sequence[Any]) -> pd.Series:
    """Return one column; a null makes a long a double and a boolean an object, as in pandas."""
    kind = FEATURE_TYPES[feature.type]
    dtype = kind.with_nulls if None in values else kind.pandas
    return pd.Series(list(values), name=feature.name, dtype=dtype)
