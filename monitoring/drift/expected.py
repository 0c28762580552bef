"""The expected performance of a window, its scores summed while batches stream by.

Classes drift as a column, too: their names stand where a score would.
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
"""Column of the answered flag."""


class ScoreTally(Scores):
    """Sums the scores and flags of batches."""

    columns = (FLAG,)
    """What is read of the store besides features and score."""

    def watch(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Pass batches on, having added those of their rows that hold a score and a flag."""
        for batch in batches:
            self._add_known(batch.select([SCORE, FLAG]))
            yield batch

    def _add_known(self, rows: pa.RecordBatch) -> None:
        """Add the rows that hold both; an Arrow sum is finite where no score is NaN."""
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
    """Yield batches with the class answered, by name, as their score."""
    for batch in batches:
        names = class_names(batch.column(FLAG), classes)
        place = batch.schema.get_field_index(SCORE)
        yield batch.set_column(place, pa.field(SCORE, pa.string()), names).drop_columns([FLAG])


class ClassTally(ClassScores):
    """Sums the probabilities of batches of answered classes."""

    def __init__(self, classes: Sequence[str]) -> None:
        """Start with no row of these classes, by name, in the model's order."""
        super().__init__(len(classes))
        self._classes, self._kept = classes, list(probability_columns(len(classes)))
        self.columns = (FLAG, *self._kept)

    def watch(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Pass batches on with the class answered as their score, having summed probabilities."""
        return with_classes(self._watched(batches), self._classes)

    def _watched(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            self._add_known(batch)
            yield batch.drop_columns(self._kept)

    def _add_known(self, batch: pa.RecordBatch) -> None:
        """Add the rows that hold a class and the probabilities of all."""
        names = self._kept or ([SCORE] if len(self._classes) == 2 else [])
        if not names:
            return
        columns = [batch.column(name).to_numpy(zero_copy_only=False) for name in names]
        # Of two classes the score is the probability of the second.
        probabilities = np.column_stack(columns if self._kept else [1 - columns[0], *columns])
        answered = batch.column(FLAG).fill_null(-1).to_numpy(zero_copy_only=False)
        known = ((probabilities >= 0) & (probabilities <= 1)).all(axis=1) & (answered >= 0)
        self.add(probabilities[known], answered[known])


Tally = ScoreTally | ClassTally


def tally_of(classes: Sequence[str]) -> Tally:
    """Return what sums the scores of a version, or the probabilities of these classes."""
    return ClassTally(classes) if classes else ScoreTally()
