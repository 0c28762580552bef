"""Which versions answered for a period: a file of labels judges all of them."""

import pyarrow as pa
import pyarrow.compute as pc

from core.captured.reader import Captures
from monitoring.performance.labels import Labels


def versions_that_answered(captures: Captures, labels: Labels) -> list[int]:
    """Return the numbers of the versions with answers of the periods that the labels judge."""
    judged = pa.array(sorted(labels.periods), pa.int64())
    found: set[int] = set()
    for batch in captures.rows(["registry_version", "period"]):
        periods = batch.column("period")
        if labels.assumed is not None:
            periods = pc.fill_null(periods, labels.assumed)
        mask = pc.is_in(periods, value_set=judged)
        found.update(batch.filter(mask).column("registry_version").unique().to_pylist())
    return sorted(found)
