"""Scoring of rows: the same numbers as `mlflow.pyfunc`, without its per-call cost.

The plain path passes the estimator the input that the signature describes, as pyfunc does. A
shortcut on bare arrays is used where it was verified to agree; rows on which it raises take the
plain path, which is correct by definition.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from inspect import signature
from typing import Any

import numpy as np

from core.messages import _
from serving.compiled.agreement import Method
from serving.errors import ScoringFailed
from serving.model.inputs import Inputs, Rows
from serving.model.shortcut import verified_shortcut
from serving.protocol.outputs import first_number, plain_rows

Output = np.ndarray | Sequence[Any]
"""A model's output for n rows: an array (n,) or (n, c), or n plain values."""

QUICK_SECONDS = 0.02
"""Longest call, with 64 rows, that may block the event loop."""


class Scorer:
    """Scorer of rows with one version.

    Args:
        method: the estimator's bound method that its pyfunc flavour names.
        inputs: converts rows to the method's input.
        positive_class: element of an output row that is the score, where rows are vectors; None
            where the contract names no score.
    """

    def __init__(self, method: Method, inputs: Inputs, positive_class: int | None) -> None:
        """Store the method, and the shortcut if there is one that agrees with it."""
        self._method, self._inputs, self._positive_class = method, inputs, positive_class
        self._takes_params = "params" in signature(method).parameters
        self._probabilities = getattr(method, "__name__", "") == "predict_proba"
        classes = getattr(getattr(method, "__self__", None), "classes_", None)
        if not isinstance(classes, np.ndarray) or classes.ndim != 1:
            classes = np.array([])  # none, or those of several outputs
        self._places = {one: place for place, one in enumerate(classes.tolist())}
        self.shortcut, seconds = verified_shortcut(method, inputs)
        self.quick = seconds <= QUICK_SECONDS

    def __call__(self, rows: Rows) -> list[float | None]:
        """Return the score of each row; rows hold a value per feature, None for null.

        Raises:
            ScoringFailed: the model raised, or a score that the contract names is not finite.
        """
        return self.scores(self.output(rows))

    def output(self, rows: Rows, params: Mapping[str, Any] | None = None) -> Output:
        """Return the output of the estimator's method for the rows; a frame as plain rows.

        Parameters are passed to a method that takes `params`, as in pyfunc; MLflow's flavours of
        scikit-learn and LightGBM drop them.

        Raises:
            ScoringFailed: the model raised, or did not return one value per row.
        """
        try:
            # The shortcut was verified with the default parameters only.
            output: Any = None if params and self._takes_params else self._shortened(rows)
            if output is None:
                given = {"params": params} if params and self._takes_params else {}
                output = self._method(self._inputs(rows), **given)
                if not isinstance(output, np.ndarray):
                    output = plain_rows(output)
        except ScoringFailed:
            raise
        except Exception as exc:
            raise ScoringFailed(type(exc).__name__) from exc
        if np.ndim(output) == 0 or len(output) != len(rows):
            raise ScoringFailed(_("incomplete result"))
        return output

    def scores(self, output: Output) -> list[float | None]:
        """Return the score in each output row; without a named one, its first number or None.

        Raises:
            ScoringFailed: a score that the contract names is not finite.
        """
        if isinstance(output, np.ndarray) and output.dtype.kind in "fiu" and output.ndim <= 2:
            column = output[:, self._score_column(output)] if output.ndim == 2 else output
            if np.isfinite(column).all():
                return column.astype(float, copy=False).tolist()
        rows = output.tolist() if isinstance(output, np.ndarray) else output
        if self._positive_class is None:
            return [first_number(row) for row in rows]
        return [_named_score(row, self._positive_class) for row in rows]

    def answered(self, output: Output) -> list[int | None]:
        """Return the position of the predicted class of each output row; None for no class."""
        if self._probabilities and isinstance(output, np.ndarray) and output.ndim == 2:
            return output.argmax(axis=1).tolist()
        rows = output.tolist() if isinstance(output, np.ndarray) else output
        return [self._places.get(row) if isinstance(row, Hashable) else None for row in rows]

    @property
    def kept_classes(self) -> int:
        """Return the number of classes whose probability the model returns; 0 without any."""
        return len(self._places) if self._probabilities else 0

    def _score_column(self, output: np.ndarray) -> int:
        """Return the score's column: the positive class, else the second of two probabilities."""
        if self._positive_class is not None:
            return self._positive_class
        return 1 if self._probabilities and output.shape[1] == 2 else 0

    def _shortened(self, rows: Rows) -> np.ndarray | None:
        if self.shortcut is None:
            return None
        try:
            return self.shortcut(self._inputs.matrix(rows))
        except Exception:
            return None


def _named_score(row: Any, positive_class: int) -> float:
    """Return the score in one row of output.

    Raises:
        ScoringFailed: it is not a finite number.
    """
    try:
        score = float(row[positive_class] if isinstance(row, list) else row)
    except (TypeError, ValueError, IndexError) as exc:
        raise ScoringFailed(type(exc).__name__) from exc
    if not math.isfinite(score):
        raise ScoringFailed(_("result not finite"))
    return score
