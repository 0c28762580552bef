"""Drift counts on Apache Spark, for stores that one machine cannot read in time.

Executors read the store's files with Arrow, as `core.store.reader` does, and count them with the
same profiles; what they send back is some kilobytes of counts each. Counts are sums, so adding them
up gives what one machine would have counted, and `monitoring.drift.judge` finishes the job.

Local reading keeps the last row read of an entity's newest ones. The same order is made here of the
source's place (journals, then files by name) and the row's position in it.
"""

import pickle
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from core.contract.types import FEATURE_TYPES
from core.spark.session import SparkUnusable, quoted, spark_session
from core.store.reader import Captures
from core.store.selection import ReadingPlan
from core.store.sources import stored_files
from monitoring.drift.baseline import Baseline, Profiler
from monitoring.drift.classes import Tally, tally_of
from monitoring.drift.comparison import DriftResult, judge

if TYPE_CHECKING:
    from pyspark.sql import (  # type: ignore[import-not-found,unused-ignore]
        DataFrame,
        SparkSession,
    )

_PLACE, _POSITION, _WHEN, _LATEST = "__place", "__position", "__when", "__latest"


def compare_on_spark(baseline: Baseline, captures: Captures) -> tuple[DriftResult, Tally]:
    """Compare what `captures` selects with a baseline; fill in the counters of `captures`.

    Raises:
        SparkUnusable: Spark is not there, or it failed.
    """
    columns, left_out = tally_of(baseline.classes).columns, len(captures.quarantined)
    try:
        part = _count(captures.plan(columns), baseline)
    except SparkUnusable:
        # A damaged page fails on an executor; only reading everything here tells which file it is.
        plan = captures.plan(columns, verify=True)
        if len(captures.quarantined) == left_out:
            raise
        part = _count(plan, baseline)
    captures.n_instances, captures.n_requests = part.n_instances, part.n_requests
    captures.n_entities = part.n_entities
    now = [profiler.profile() for profiler in part.profilers]
    return judge(baseline, now), part.tally


class PartialCount:
    """What was counted in a share of the rows."""

    def __init__(self, baseline: Baseline) -> None:
        """Start with no row."""
        profiles = [*baseline.features, *([baseline.score] if baseline.score else [])]
        self.profilers = [Profiler(profile.name, profile.binning) for profile in profiles]
        self.tally = tally_of(baseline.classes)
        self.n_instances = self.n_requests = self.n_entities = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Count a batch: every row as an instance, the latest of each entity in the profiles."""
        self.n_instances += batch.num_rows
        self.n_requests += int(pc.sum(pc.equal(batch.column("instance"), 0)).as_py() or 0)
        kept = batch.filter(batch.column(_LATEST))
        self.n_entities += kept.num_rows
        for rows in self.tally.watch([kept] if kept.num_rows else []):
            for profiler in self.profilers:
                profiler.add(rows.column(profiler.name))

    def merge(self, other: "PartialCount") -> None:
        """Add what another share counted."""
        for mine, theirs in zip(self.profilers, other.profilers, strict=True):
            mine.merge(theirs)
        self.tally.merge(other.tally)  # type: ignore[arg-type] # both are of one baseline
        self.n_instances += other.n_instances
        self.n_requests += other.n_requests
        self.n_entities += other.n_entities


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the files that a partition names; runs on executors."""

    plan: ReadingPlan
    filesystem: Any

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for place, path in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                source = stored_files([path], self.plan.schema, self.filesystem)
                yield from _placed(source, place, self.plan)


@dataclass(frozen=True, slots=True)
class _Counter:
    """Counts a partition's rows into one pickled `PartialCount`; runs on executors."""

    baseline: Baseline

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        part = PartialCount(self.baseline)
        for batch in batches:
            part.add(batch)
        yield pa.RecordBatch.from_pydict({"part": pa.array([pickle.dumps(part)], pa.binary())})


def _count(plan: ReadingPlan, baseline: Baseline) -> PartialCount:
    """Count every selected row on the executors and add the parts up."""
    total = PartialCount(baseline)
    if plan.sources:
        with spark_session("monitoring") as session:
            rows = _with_latest(_rows(session, plan), plan.has_entities)
            for row in rows.mapInArrow(_Counter(baseline), "part binary").collect():
                total.merge(pickle.loads(row.part))  # noqa: S301 - our own executors wrote it
    return total


def _rows(session: "SparkSession", plan: ReadingPlan) -> "DataFrame":
    """Return the selected rows of journals and files as one data frame."""
    schema = ", ".join(f"{quoted(name)} {kind}" for name, kind in _columns(plan).items())
    memory = [s for s in plan.sources if not isinstance(s, ds.FileSystemDataset)]
    journals = [b for place, s in enumerate(memory) for b in _placed(s, place, plan)]
    stored = [s for s in plan.sources if isinstance(s, ds.FileSystemDataset)]
    paths = [path for source in stored for path in source.files]
    named = [(len(memory) + number, path) for number, path in enumerate(paths)]
    tasks = max(1, min(len(named), 4 * session.sparkContext.defaultParallelism))
    frame = session.createDataFrame(named, f"{_PLACE} bigint, path string").repartition(tasks)
    reader = _Reader(plan.without_sources(), stored[0].filesystem if stored else None)
    rows = frame.mapInArrow(reader, schema)
    if journals:
        rows = rows.unionByName(session.createDataFrame(pa.Table.from_batches(journals), schema))
    return rows


def _with_latest(rows: "DataFrame", has_entities: bool) -> "DataFrame":
    """Say of each row whether it is its entity's latest or has no entity."""
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    if not has_entities:
        return rows.withColumn(_LATEST, f.lit(True))
    # Rows without an entity are each their own, so that they do not all meet in one task.
    alone = f.concat(f.lit("\0"), f.col(_PLACE), f.lit(":"), f.col(_POSITION))
    newest = [f.col(name).desc() for name in (_WHEN, _PLACE, _POSITION)]
    window = Window.partitionBy(f.coalesce(f.col("entity"), alone)).orderBy(*newest)
    return rows.withColumn(_LATEST, f.row_number().over(window) == 1)


def _columns(plan: ReadingPlan) -> dict[str, str]:
    """Return the columns of the data frame and their Spark types."""
    leading = {_PLACE: "bigint", _POSITION: "bigint", _WHEN: "bigint", "instance": "bigint"}
    return {
        **leading,
        "entity": "string",
        **{name: FEATURE_TYPES[plan.types[name]].spark for name in plan.columns},
    }


def _placed(source: ds.Dataset, place: int, plan: ReadingPlan) -> Iterator[pa.RecordBatch]:
    """Yield a source's selected rows with their place and position."""
    read = [*plan.columns, "instance", "entity", "timestamp"]
    position = 0
    for batch in source.scanner(columns=read, filter=plan.selection.filter()).to_batches():
        n = batch.num_rows
        values = {
            _PLACE: pa.array(np.full(n, place, dtype=np.int64)),
            _POSITION: pa.array(np.arange(position, position + n, dtype=np.int64)),
            _WHEN: batch.column("timestamp").cast(pa.int64()),
        }
        columns = [values[k] if k in values else batch.column(k) for k in _columns(plan)]
        position += n
        if n:
            yield pa.RecordBatch.from_arrays(columns, names=list(_columns(plan)))
