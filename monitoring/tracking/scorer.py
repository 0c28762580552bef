"""Batch prediction by a loaded version: scores, flags, classes and their probabilities."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.contract.model import CLASSES, ModelContract
from core.metrics.resampling import Floats
from core.registry.packages import ask, classes_of, scores_of
from monitoring.tracking.errors import ScoringError

Ints = npt.NDArray[np.int64]

UNKNOWN = -1
"""Label of a row without one, and index of a class that the estimator does not have."""


@dataclass(frozen=True, slots=True)
class Answers:
    """A version's predictions for n rows.

    Attributes:
        score: shape (n,); NaN for class outputs.
        label: the flag, or the index of the class among the estimator's, shape (n,); `UNKNOWN` for
            value outputs.
        probabilities: of each class, shape (n, k); None where the model gives none.
        seconds: time for all n rows.
    """

    score: Floats
    label: Ints
    probabilities: Floats | None
    seconds: float


class VersionScorer:
    """One version's model, with the contract and threshold to interpret its output."""

    def __init__(self, model: Any, contract: ModelContract, release: str, threshold: float) -> None:
        """Wrap a loaded pyfunc model."""
        self._model, self.contract, self._release = model, contract, release
        self._threshold = threshold
        self.classes = classes_of(model) if contract.output_kind == CLASSES else ()

    def answer(self, features: pa.Table) -> Answers:
        """Predict rows given in the contract's types.

        Raises:
            ScoringError: the model raises, or its output is not numeric.
        """
        began = time.perf_counter()
        output = self._output(features)
        if self.contract.output_kind == CLASSES:
            return self._of_classes(np.asarray(output), began)
        try:
            score = scores_of(output, self.contract)
        except (ValueError, TypeError) as exc:
            raise ScoringError(version=self._release, kind=type(exc).__name__) from exc
        label = np.full(len(score), UNKNOWN)
        if not self.contract.outputs:
            label = (score >= self._threshold).astype(np.int64)
        return Answers(score, label, None, time.perf_counter() - began)

    def _of_classes(self, output: npt.NDArray[Any], began: float) -> Answers:
        if output.ndim == 2 and output.shape[1] == len(self.classes):
            label, probabilities = output.argmax(axis=1), output.astype(np.float64)
        else:
            places = {name: place for place, name in enumerate(self.classes)}
            found = [places.get(str(one), UNKNOWN) for one in output.ravel().tolist()]
            label, probabilities = np.array(found, dtype=np.int64), None
        score = np.full(len(label), np.nan)
        return Answers(score, label, probabilities, time.perf_counter() - began)

    def _output(self, features: pa.Table) -> Any:
        try:
            return ask(
                self._model, features.rename_columns(self.contract.feature_names).to_pandas()
            )
        except Exception as exc:
            # A model may raise anything, and its text may quote the rows.
            raise ScoringError(version=self._release, kind=type(exc).__name__) from exc
