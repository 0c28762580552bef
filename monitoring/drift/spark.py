"""Drift counts on Apache Spark, for stores that one machine cannot read in time.

Executors read the store's files with Arrow, as `core.captured.reader` does, count their rows with
the same profilers, and return some kilobytes of counts each. The sums of these counts equal those
of a local run; `monitoring.drift.comparison.judge` compares them with the baseline.
"""

import pickle
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from core.captured.reader import Captures
from core.captured.selection import ReadingPlan
from core.spark.failures import SparkUnusable
from core.spark.session import spark_session
from monitoring.drift.baseline import Baseline, Profiler
from monitoring.drift.comparison import DriftResult, judge
from monitoring.drift.expected import Tally, tally_of
from monitoring.drift.spark_rows import LATEST, rows_on_spark, with_latest


def compare_on_spark(baseline: Baseline, captures: Captures) -> tuple[DriftResult, Tally]:
    """Compare the rows that `captures` selects with a baseline; set the counters of `captures`.

    Raises:
        SparkUnusable: Spark is not available, or it failed.
    """
    columns, left_out = tally_of(baseline.classes).columns, len(captures.quarantined)
    try:
        part = _count(captures.plan(columns), baseline)
    except SparkUnusable:
        # A damaged page fails on an executor; only reading everything here identifies the file.
        plan = captures.plan(columns, verify=True)
        if len(captures.quarantined) == left_out:
            raise
        part = _count(plan, baseline)
    captures.n_instances, captures.n_requests = part.n_instances, part.n_requests
    captures.n_entities = part.n_entities
    now = [profiler.profile() for profiler in part.profilers]
    return judge(baseline, now), part.tally


class PartialCount:
    """Counts of a part of the rows."""

    def __init__(self, baseline: Baseline) -> None:
        """Start with no row."""
        self.profilers = [Profiler(one.name, one.binning) for one in baseline.profiles]
        self.tally = tally_of(baseline.classes)
        self.n_instances = self.n_requests = self.n_entities = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Count a batch: every row as an instance, the latest of each entity in the profiles."""
        self.n_instances += batch.num_rows
        self.n_requests += int(pc.sum(pc.equal(batch.column("instance"), 0)).as_py() or 0)
        kept = batch.filter(batch.column(LATEST))
        self.n_entities += kept.num_rows
        for rows in self.tally.watch([kept] if kept.num_rows else []):
            for profiler in self.profilers:
                profiler.add(rows.column(profiler.name))

    def merge(self, other: "PartialCount") -> None:
        """Add the counts of another part."""
        for mine, theirs in zip(self.profilers, other.profilers, strict=True):
            mine.merge(theirs)
        self.tally.merge(other.tally)  # type: ignore[arg-type] # both are of one baseline
        self.n_instances += other.n_instances
        self.n_requests += other.n_requests
        self.n_entities += other.n_entities


@dataclass(frozen=True, slots=True)
class _Counter:
    """Executor task that counts a partition's rows into one pickled `PartialCount`."""

    baseline: Baseline

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        part = PartialCount(self.baseline)
        for batch in batches:
            part.add(batch)
        yield pa.RecordBatch.from_pydict({"part": pa.array([pickle.dumps(part)], pa.binary())})


def _count(plan: ReadingPlan, baseline: Baseline) -> PartialCount:
    """Count every selected row on the executors and merge the parts."""
    total = PartialCount(baseline)
    if plan.sources:
        with spark_session("monitoring") as session:
            rows = with_latest(rows_on_spark(session, plan), plan.has_entities)
            for row in rows.mapInArrow(_Counter(baseline), "part binary").collect():
                total.merge(pickle.loads(row.part))  # noqa: S301 - our own executors wrote it
    return total
