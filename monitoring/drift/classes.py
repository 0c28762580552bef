"""Classes as a column that drifts: their names stand where a score would."""

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from monitoring.drift.baseline import SCORE
from monitoring.drift.expected import FLAG


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
