"""The expected performance of a window, its scores summed while batches stream by."""

import math
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from core.metrics.expected import ExpectedPerformance, Scores
from monitoring.drift.baseline import SCORE

__all__ = ["FLAG", "ExpectedPerformance", "ScoreTally"]

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
