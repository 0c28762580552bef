"""Rows of a store as a Spark data frame; executors read them as `core.captured.reader` does.

Of an entity's rows with the newest timestamp, local reading keeps the one read last. The index of
the source (journals, then files by name) and the row's position in it give the same order here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from core.captured.selection import ReadingPlan
from core.captured.sources import stored_files
from core.contract.types import FEATURE_TYPES
from core.spark.session import quoted

if TYPE_CHECKING:
    from pyspark.sql import (  # type: ignore[import-not-found,unused-ignore]
        DataFrame,
        SparkSession,
    )

PLACE, POSITION, WHEN, LATEST = "__place", "__position", "__when", "__latest"
"""Columns besides those of the plan: index of the source, position in it, time of the prediction
(microseconds since 1970), and whether the row is the latest of its entity."""


@dataclass(frozen=True, slots=True)
class _Reader:
    """Executor task that reads the files named by the rows of a partition."""

    plan: ReadingPlan
    filesystem: Any

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for place, path in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                source = stored_files([path], self.plan.schema, self.filesystem)
                yield from _placed(source, place, self.plan)


def rows_on_spark(session: "SparkSession", plan: ReadingPlan) -> "DataFrame":
    """Return the selected rows of journals and files as one data frame."""
    schema = ", ".join(f"{quoted(name)} {kind}" for name, kind in columns_of(plan).items())
    memory = [s for s in plan.sources if not isinstance(s, ds.FileSystemDataset)]
    journals = [b for place, s in enumerate(memory) for b in _placed(s, place, plan)]
    stored = [s for s in plan.sources if isinstance(s, ds.FileSystemDataset)]
    paths = [path for source in stored for path in source.files]
    named = [(len(memory) + number, path) for number, path in enumerate(paths)]
    tasks = max(1, min(len(named), 4 * session.sparkContext.defaultParallelism))
    frame = session.createDataFrame(named, f"{PLACE} bigint, path string").repartition(tasks)
    reader = _Reader(replace(plan, sources=()), stored[0].filesystem if stored else None)
    rows = frame.mapInArrow(reader, schema)
    if journals:
        rows = rows.unionByName(session.createDataFrame(pa.Table.from_batches(journals), schema))
    return rows


def with_latest(rows: "DataFrame", has_entities: bool) -> "DataFrame":
    """Add the column `LATEST`: whether a row is its entity's latest or has no entity."""
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    if not has_entities:
        return rows.withColumn(LATEST, f.lit(True))
    # Each row without an entity gets its own window partition, so that one task does not get all.
    alone = f.concat(f.lit("\0"), f.col(PLACE), f.lit(":"), f.col(POSITION))
    newest = [f.col(name).desc() for name in (WHEN, PLACE, POSITION)]
    window = Window.partitionBy(f.coalesce(f.col("entity"), alone)).orderBy(*newest)
    return rows.withColumn(LATEST, f.row_number().over(window) == 1)


def columns_of(plan: ReadingPlan) -> dict[str, str]:
    """Return the columns of the data frame and their Spark types."""
    leading = {PLACE: "bigint", POSITION: "bigint", WHEN: "bigint", "instance": "bigint"}
    return {
        **leading,
        "entity": "string",
        **{name: FEATURE_TYPES[plan.types[name]].spark for name in plan.columns},
    }


def _placed(source: ds.Dataset, place: int, plan: ReadingPlan) -> Iterator[pa.RecordBatch]:
    """Yield a source's selected rows with the source's index and their position in it."""
    read = [*plan.columns, "instance", "entity", "timestamp"]
    position = 0
    for batch in source.scanner(columns=read, filter=plan.selection.filter()).to_batches():
        n = batch.num_rows
        values = {
            PLACE: pa.array(np.full(n, place, dtype=np.int64)),
            POSITION: pa.array(np.arange(position, position + n, dtype=np.int64)),
            WHEN: batch.column("timestamp").cast(pa.int64()),
        }
        columns = [values[k] if k in values else batch.column(k) for k in columns_of(plan)]
        position += n
        if n:
            yield pa.RecordBatch.from_arrays(columns, names=list(columns_of(plan)))
