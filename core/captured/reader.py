"""Read a version's captured rows from the inference store, reduced to the latest per entity."""

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
    """A stream of the selected rows, counted as they are read.

    Attributes:
        n_instances: rows selected; repeated scorings of one entity all count.
        n_entities: rows kept: the latest of each entity, and every row without one.
        n_requests: requests among the rows selected, counted by their first instance.
        quarantined: unreadable files that may hold rows of the selection, which are missing.
    """

    def __init__(
        self, store: Store, selection: Selection, features: Mapping[str, str], classes: int = 0
    ) -> None:
        """Select rows of `store`.

        `features` maps columns to contract types. The probability columns that capture keeps for
        so many `classes` (`probability_columns`) can be requested as `extra` columns.
        """
        self._store, self._selection = store, selection
        self._columns = (*features, SCORE)
        kept = probability_columns(classes)
        self._types = {**LEADING_COLUMNS, **features, **kept, **TRAILING_COLUMNS}
        self._sources = Sources(store, selection, self._types)
        self.n_instances = self.n_entities = self.n_requests = 0

    def batches(self, extra: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the features, `score` and `extra` columns of the latest row of each entity.

        All rows without an entity are kept. Memory does not grow with the store, except for the
        index of latest rows where there are entities (`LatestPerEntity`). Unreadable files are
        quarantined and skipped (`quarantined`).

        Raises:
            StoreChanged: files were replaced while they were read.
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
            StoreChanged: files were replaced while they were read.
            StoreUnreachable: the bucket does not answer.
        """
        yield from self._sources.by_file(self._sources.look(), columns)

    def plan(self, extra: Sequence[str] = (), *, verify: bool = False) -> ReadingPlan:
        """Return the plan for reading the features, `score` and `extra` columns.

        Footers are read here; pages only with `verify`, since another engine reads them later.

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
        """Return quarantined files, of this run or earlier, that may hold rows of the selection."""
        return tuple(
            one for one in self._sources.left_out.all() if self._selection.may_hold(one.name)
        )

    def _rows_and_latest(
        self, columns: Sequence[str]
    ) -> tuple[Iterator[pa.RecordBatch], npt.NDArray[np.bool_] | None]:
        """Return the selected rows and, where there are entities, the mask of rows to keep.

        Finding the latest rows takes a first pass over all of them; an unreadable file is
        quarantined then and the pass restarted, since without it an earlier row may be the latest.
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
    """Return whether any row may have an entity, by the footers, which the scan needs anyway."""
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
