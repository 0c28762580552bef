"""An Arrow dataset as a Spark data frame: the executors open its files through Arrow.

So a Delta table needs no jar and a bucket no connector: the driver reads the log, and each task
gets some row groups of the files in it.
"""

import pickle
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.dataset as ds

if TYPE_CHECKING:
    from pyspark.sql import (  # type: ignore[import-not-found,unused-ignore]
        DataFrame,
        SparkSession,
    )

_TASKS = 4
"""Tasks per core, so that one slow task does not leave the other cores idle."""


@dataclass(frozen=True, slots=True)
class _FragmentReader:
    """The function of `mapInArrow` that reads the fragments in a partition, on executors."""

    schema: pa.Schema

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for pickled in batch.column(0).to_pylist():
                fragment = pickle.loads(pickled)  # noqa: S301 (our own driver made it)
                one = ds.FileSystemDataset(
                    [fragment], self.schema, fragment.format, fragment.filesystem
                )
                yield from one.to_batches()


def dataset_on_spark(session: "SparkSession", dataset: ds.FileSystemDataset) -> "DataFrame":
    """Return a dataset as a data frame, partition columns included.

    Raises:
        PySparkException: a column has a type that Spark does not support.
    """
    from pyspark.sql.pandas.types import (  # type: ignore[import-not-found,unused-ignore]
        from_arrow_schema,
    )

    tasks = _TASKS * session.sparkContext.defaultParallelism
    fragments = list(dataset.get_fragments())
    if len(fragments) < tasks:  # else each file is a task, and no footer need be read here
        fragments = [part for one in fragments for part in one.split_by_row_group()]
    named = [(pickle.dumps(fragment),) for fragment in fragments]
    frame = session.createDataFrame(named, "fragment binary")
    frame = frame.repartition(max(1, min(len(named), tasks)))
    return frame.mapInArrow(_FragmentReader(dataset.schema), from_arrow_schema(dataset.schema))
