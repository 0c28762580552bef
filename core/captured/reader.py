"""Read what a version answered from the inference store, and find the latest row of each entity."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from core.captured.latest import LatestPerEntity
from core.captured.selection import ReadingPlan, Selection
from core.captured.sources import Sources
from core.contract.columns import LEADING_COLUMNS, TRAILING_COLUMNS, probability_columns
from core.store.errors import StoreChanged
from core.store.filesystem import Store
from core.store.quarantined import Quarantined

SCORE = "score"
"""Column of the store that holds the score."""


class Captures:
    """Streams the selected rows and counts them on the way.

    Attributes:
        n_instances: rows selected, every scoring of one entity counted.
        n_entities: rows after that: the latest of each entity, and every row without one.
        n_requests: requests among the rows selected, counted by their first instance.
        quarantined: files that cannot be read, whose rows of the selection are missing.
    """

    def __init__(
        self, store: Store, selection: Selection, features: Mapping[str, str], classes: int = 0
    ) -> None:
        """Select rows of `store`.

        `features` maps columns to contract types. Of `classes` the probabilities may be asked for
        besides, where capture keeps them (`probability_columns`).
        """
        self._store, self._selection = store, selection
        self._columns = (*features, SCORE)
        kept = probability_columns(classes)
        self._types = {**LEADING_COLUMNS, **features, **kept, **TRAILING_COLUMNS}
        self._sources = Sources(store, selection, self._types)
        self.n_instances = self.n_entities = self.n_requests = 0

    def batches(self, extra: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the features, `score` and `extra` columns of the latest row of each entity.

        Rows without an entity all count. Memory does not grow with the store, but for what finding
        the latest takes where there are entities (`LatestPerEntity`). What cannot be read is put
        aside and left out (`quarantined`).

        Raises:
            StoreChanged: files were replaced meanwhile.
            StoreUnreachable: the bucket does not answer.
        """
        columns = [*self._columns, *extra]
        found, kept = self._rows_and_latest(_each_once(*columns, "instance"))
        self.n_instances = self.n_entities = self.n_requests = 0
        for batch in found:
            start = self.n_instances
            self.n_instances += batch.num_rows
            firsts = pc.sum(pc.equal(batch.column("instance"), 0)).as_py()
            self.n_requests += int(firsts or 0)
            batch = batch.select(columns)
            if kept is not None:
                if self.n_instances > len(kept):
                    raise StoreChanged(store=self._store)
                batch = batch.filter(pa.array(kept[start : self.n_instances]))
            self.n_entities += batch.num_rows
            if batch.num_rows:
                yield batch
        if kept is not None and self.n_instances < len(kept):
            raise StoreChanged(store=self._store)

    def rows(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield columns of every selected row, each scoring of an entity included.

        Raises:
            StoreChanged: files were replaced meanwhile.
            StoreUnreachable: the bucket does not answer.
        """
        yield from self._sources.by_file(self._sources.look(), columns)

    def plan(self, extra: Sequence[str] = (), *, verify: bool = False) -> ReadingPlan:
        """Look at the store once; return how to read the features, `score` and `extra` columns.

        Footers are read here; pages only with `verify`, since another engine is there to read them.

        Raises:
            StoreUnreachable: the bucket does not answer.
        """
        columns = (*self._columns, *extra)
        for _batch in self._sources.by_file(self._sources.look(), columns) if verify else ():
            pass
        sources = self._sources.look()
        return ReadingPlan(
            sources=sources,
            selection=self._selection,
            columns=columns,
            types=self._types,
            schema=self._sources.schema,
            has_entities=any(_has_entities(source) for source in sources),
        )

    @property
    def quarantined(self) -> tuple[Quarantined, ...]:
        """Return what was put aside and may hold rows of the selection, in this run or before."""
        return tuple(
            one for one in self._sources.left_out.all() if self._selection.may_hold(one.name)
        )

    def _rows_and_latest(
        self, columns: Sequence[str]
    ) -> tuple[Iterator[pa.RecordBatch], npt.NDArray[np.bool_] | None]:
        """Return the selected rows and, where there are entities, which to keep.

        To find the latest everything is read once before; a file that cannot be is put aside then,
        and the look begun anew, since an earlier row may be the latest without it.
        """
        needed = _each_once(*columns, "entity", "timestamp")
        while True:
            sources, left_out = self._sources.look(), len(self._sources.left_out)
            if not any(_has_entities(source) for source in sources):
                return self._sources.by_file(sources, columns), None
            latest = LatestPerEntity()
            for batch in self._sources.by_file(sources, needed):
                latest.add(batch.column("entity"), batch.column("timestamp"))
            if len(self._sources.left_out) == left_out:
                return self._sources.again(sources, columns), latest.kept()


def _each_once(*names: str) -> list[str]:
    return list(dict.fromkeys(names))


def _has_entities(source: ds.Dataset) -> bool:
    """Tell whether a row may have an entity: by the files' footers, which the scan needs anyway."""
    if not isinstance(source, ds.FileSystemDataset):
        batches = source.to_batches(columns=["entity"])
        return any(batch.column(0).null_count < len(batch) for batch in batches)
    return any(_footer_has_entities(part.metadata) for part in source.get_fragments())


def _footer_has_entities(footer: pq.FileMetaData) -> bool:
    if "entity" not in footer.schema.names:
        return False
    column = footer.schema.names.index("entity")
    for index in range(footer.num_row_groups):
        group = footer.row_group(index)
        known = group.column(column).statistics
        if known is None or not known.has_null_count or known.null_count < group.num_rows:
            return True
    return False
