"""Expected performance of a window, accumulated from its scores while batches are streamed.

Predicted classes are compared as a column, too: their names replace the score.
"""

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.contract.columns import probability_columns
from core.metrics.expected import ExpectedPerformance, Scores
from core.metrics.expected_classes import ClassScores, ExpectedClasses
from monitoring.drift.baseline import SCORE

Expected = ExpectedPerformance | ExpectedClasses
FLAG = "label"
"""Column of the predicted flag, or of the index of the predicted class."""


class ScoreTally(Scores):
    """Running sums of the scores and flags of batches."""

    columns = (FLAG,)
    """Columns read from the store besides features and score."""

    def watch(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield batches unchanged, after adding their rows that have a score and a flag."""
        for batch in batches:
            self._add_known(batch.select([SCORE, FLAG]))
            yield batch

    def _add_known(self, rows: pa.RecordBatch) -> None:
        """Add the rows that have both; a finite Arrow sum shows that no score is NaN."""
        score, flag = rows.columns
        total = pc.sum(score).as_py()
        if score.null_count or flag.null_count or not math.isfinite(total or 0.0):
            known = pc.and_(pc.is_finite(score), pc.is_valid(flag))
            score, flag = rows.filter(known).columns
        self.add(score.to_numpy(zero_copy_only=False), flag.to_numpy(zero_copy_only=False))


def class_names(places: pa.Array, classes: Sequence[str]) -> pa.Array:
    """Return the names of classes given by position; null where there is no such class."""
    known = pc.and_(pc.greater_equal(places, 0), pc.less(places, len(classes)))
    return pa.array(classes, pa.string()).take(pc.if_else(known, places, None))


def with_classes(
    batches: Iterable[pa.RecordBatch], classes: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Yield batches with the name of the predicted class as their score."""
    for batch in batches:
        names = class_names(batch.column(FLAG), classes)
        place = batch.schema.get_field_index(SCORE)
        yield batch.set_column(place, pa.field(SCORE, pa.string()), names).drop_columns([FLAG])


class ClassTally(ClassScores):
    """Running sums of the class probabilities of batches."""

    def __init__(self, classes: Sequence[str]) -> None:
        """Start with no row of these classes, by name, in the model's order."""
        super().__init__(len(classes))
        self._classes, self._kept = classes, list(probability_columns(len(classes)))
        self.columns = (FLAG, *self._kept)

    def watch(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield batches with the predicted class as their score, after summing probabilities."""
        return with_classes(self._watched(batches), self._classes)

    def _watched(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            self._add_known(batch)
            yield batch.drop_columns(self._kept)

    def _add_known(self, batch: pa.RecordBatch) -> None:
        """Add the rows that have a class and the probability of every class."""
        names = self._kept or ([SCORE] if len(self._classes) == 2 else [])
        if not names:
            return
        columns = [batch.column(name).to_numpy(zero_copy_only=False) for name in names]
        # With two classes the score is the probability of the second.
        probabilities = np.column_stack(columns if self._kept else [1 - columns[0], *columns])
        answered = batch.column(FLAG).fill_null(-1).to_numpy(zero_copy_only=False)
        known = ((probabilities >= 0) & (probabilities <= 1)).all(axis=1) & (answered >= 0)
        self.add(probabilities[known], answered[known])


Tally = ScoreTally | ClassTally


def tally_of(classes: Sequence[str]) -> Tally:
    """Return an accumulator of class probabilities if there are classes, else of scores."""
    return ClassTally(classes) if classes else ScoreTally()
