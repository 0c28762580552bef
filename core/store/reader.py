"""Read what one version answered from the inference store: Parquet files and unconverted journals.

The order of reading (journals, then the list of Parquet files) is the store's protocol; it makes
every row that was answered before the job started appear exactly once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from core.contract.columns import LEADING_COLUMNS, TRAILING_COLUMNS
from core.messages import _
from core.store.arrow_types import ARROW_TYPES, arrow_schema
from core.store.errors import FileDamaged, StoreChanged, StoreError
from core.store.filesystem import Store
from core.store.footers import damaged_file, has_entities
from core.store.journal_arrow import journals_of, read_header, read_whole
from core.store.latest import LatestPerEntity
from core.store.listing import list_store
from core.store.schema import ROLE_PRIMARY, JournalHeader

SCORE = "score"
"""Column of the store that holds the score."""
_FILES_AT_ONCE = 8
"""Arrow reads ahead of a slow reader, up to a gigabyte, but not beyond the files it was given."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows: those that one version scored in a role within [start, end] (aware times)."""

    model_name: str
    registry_version: int
    start: datetime
    end: datetime
    role: str = ROLE_PRIMARY

    def filter(self) -> pc.Expression:
        """Return the selection as an Arrow filter over the store's columns."""
        stamp, kind = pc.field("timestamp"), ARROW_TYPES["timestamp"]
        return (
            (pc.field("registry_version") == self.registry_version)
            & (pc.field("model_name") == self.model_name)
            & (pc.field("role") == self.role)
            & (stamp >= pa.scalar(self.start, kind))
            & (stamp <= pa.scalar(self.end, kind))
        )

    def wants(self, header: JournalHeader) -> bool:
        """Return whether a journal's constants allow rows of the selection."""
        constants = header.constants
        return (
            constants.get("registry_version") == self.registry_version
            and constants.get("model_name") == self.model_name
            and constants.get("role") == self.role
        )


@dataclass(frozen=True, slots=True)
class ReadingPlan:
    """What to read and how, for an engine that reads elsewhere than in this process.

    `sources` are in the order of reading; `types` maps every column to its contract type, and
    `schema` to its Arrow type.
    """

    sources: Sequence[ds.Dataset]
    selection: Selection
    columns: tuple[str, ...]
    types: Mapping[str, str]
    schema: pa.Schema
    has_entities: bool

    def without_sources(self) -> "ReadingPlan":
        """Return the plan as it can be sent elsewhere."""
        return replace(self, sources=())


class Captures:
    """Streams the selected rows and counts them on the way.

    Attributes:
        n_instances: rows selected, every scoring of one entity counted.
        n_entities: rows after that: the latest of each entity, and every row without one.
        n_requests: requests among the rows selected, counted by their first instance.
    """

    def __init__(
        self,
        store: Store | Path,
        selection: Selection,
        features: Mapping[str, str],
        journals: Path | None = None,
    ) -> None:
        """Select rows of `store`.

        `features` maps columns to contract types; `journals` is where the journals of a folder were
        moved to, if they were.
        """
        self._store, self._selection = Store.at(store, journals), selection
        self._columns = (*features, SCORE)
        self._types = {**LEADING_COLUMNS, **features, **TRAILING_COLUMNS}
        self._schema = arrow_schema(self._types)
        self.n_instances = self.n_entities = self.n_requests = 0

    def batches(self, extra: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the features, `score` and `extra` columns of the latest row of each entity.

        Rows without an entity all count. Memory does not grow with the store, but for what finding
        the latest takes where there are entities (`LatestPerEntity`).

        Raises:
            FileDamaged: a file is damaged; names it.
        """
        sources = self._sources()
        kept = self._latest(sources)
        columns = [*self._columns, *extra]
        self.n_instances = self.n_entities = self.n_requests = 0
        for batch in self._scan(sources, [*columns, "instance"]):
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
            FileDamaged: a file is damaged; names it.
        """
        yield from self._scan(self._sources(), columns)

    def plan(self, extra: Sequence[str] = ()) -> ReadingPlan:
        """Look at the store once; return how to read the features, `score` and `extra` columns.

        Raises:
            FileDamaged: a file is damaged; names it.
        """
        sources = self._sources()
        return ReadingPlan(
            sources=sources,
            selection=self._selection,
            columns=(*self._columns, *extra),
            types=self._types,
            schema=self._schema,
            has_entities=self._has_entities(sources),
        )

    def _sources(self) -> list[ds.Dataset]:
        """Look at the store once: what a later pass reads is what an earlier one has read."""
        journals = dict(self._journals())
        files = list_store(self._store)
        sources = [ds.dataset(t) for stem, t in journals.items() if stem not in files.stems]
        paths = [str(path) for path in files.live]
        for start in range(0, len(paths), _FILES_AT_ONCE):
            sources.append(
                ds.dataset(
                    paths[start : start + _FILES_AT_ONCE],
                    schema=self._schema,
                    format="parquet",
                    filesystem=self._store.filesystem,
                )
            )
        return sources

    def _scan(
        self, sources: Sequence[ds.Dataset], columns: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        for source in sources:
            try:
                with self._store.reaching():
                    scanner = source.scanner(columns=list(columns), filter=self._selection.filter())
                    yield from (batch for batch in scanner.to_batches() if batch.num_rows)
            except (pa.ArrowException, OSError) as exc:
                raise self._failure(source) from exc

    def _failure(self, *sources: ds.Dataset) -> StoreError:
        damaged = next(filter(None, map(damaged_file, sources)), None)
        if damaged is None:
            return StoreChanged(store=self._store)
        return FileDamaged(path=damaged, reason=_("not a valid Parquet file"))

    def _latest(self, sources: Sequence[ds.Dataset]) -> npt.NDArray[np.bool_] | None:
        """Return which selected rows to keep, or None where no row has an entity."""
        if not self._has_entities(sources):
            return None
        latest = LatestPerEntity()
        for batch in self._scan(sources, ["entity", "timestamp"]):
            latest.add(batch.column("entity"), batch.column("timestamp"))
        return latest.kept()

    def _has_entities(self, sources: Sequence[ds.Dataset]) -> bool:
        try:
            with self._store.reaching():
                return any(has_entities(source) for source in sources)
        except (pa.ArrowException, OSError) as exc:
            raise self._failure(*sources) from exc

    def _journals(self) -> Iterator[tuple[str, pa.Table]]:
        """Yield the wanted journals by stem, each as a table of the store's schema."""
        for path in journals_of(self._store.journals):
            try:
                header = read_header(path)
                if header is None or not self._selection.wants(header):
                    continue
                table = read_whole(path)
            except FileNotFoundError:
                continue  # It has become a Parquet file, which the listing that follows will show.
            if table is not None and table.num_rows:
                yield path.stem, self._fitted(path, table)

    def _fitted(self, path: Path, table: pa.Table) -> pa.Table:
        """Return a journal's rows under the selection's schema; a column that it lacks is null."""
        rows = table.num_rows
        columns = [
            table[field.name] if field.name in table.column_names else pa.nulls(rows)
            for field in self._schema
        ]
        try:
            return pa.table(columns, names=self._schema.names).cast(self._schema)
        except pa.ArrowException:
            # The text of the error may quote a value.
            reason = _("a column has another type than the model's")
            raise FileDamaged(path=path, reason=reason) from None
