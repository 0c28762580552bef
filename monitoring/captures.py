"""Read what one version answered from the inference store: Parquet files and unconverted journals.

The order of reading (journals, then the list of Parquet files) is the store's protocol; it makes
every row that was answered before the job started appear exactly once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from mlflow_project.contract.store import (
    JOURNAL_FOLDER,
    JOURNAL_SUFFIX,
    LEADING_COLUMNS,
    PARQUET_SUFFIX,
    ROLE_PRIMARY,
    JournalHeader,
    read_journal,
)
from monitoring.baseline import SCORE
from monitoring.errors import CaptureError

ARROW_TYPES: Mapping[str, pa.DataType] = {
    "string": pa.string(),
    "long": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
"""Arrow types of the store's and the contract's type names."""

_SELECTING = ("instance", "timestamp", "model_name", "registry_version", "role")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows: those that one version answered itself within [start, end] (aware times)."""

    model_name: str
    registry_version: int
    start: datetime
    end: datetime

    def filter(self) -> pc.Expression:
        """Return the selection as an Arrow filter over the store's columns."""
        stamp, kind = pc.field("timestamp"), ARROW_TYPES["timestamp"]
        return (
            (pc.field("registry_version") == self.registry_version)
            & (pc.field("model_name") == self.model_name)
            & (pc.field("role") == ROLE_PRIMARY)
            & (stamp >= pa.scalar(self.start, kind))
            & (stamp <= pa.scalar(self.end, kind))
        )

    def wants(self, header: JournalHeader) -> bool:
        """Return whether a journal's constants allow rows of the selection."""
        constants = header.constants
        return (
            constants.get("registry_version") == self.registry_version
            and constants.get("model_name") == self.model_name
            and constants.get("role") == ROLE_PRIMARY
        )


class Captures:
    """Streams the selected rows and counts them on the way.

    Attributes:
        n_instances: rows streamed so far.
        n_requests: requests among them, counted by their first instance.
    """

    def __init__(
        self,
        store: Path,
        selection: Selection,
        features: Mapping[str, str],
        journals: Path | None = None,
    ) -> None:
        """Select rows of the folder `store`.

        `features` maps columns to contract types; `journals` is the folder of the journals where
        that is not the store's own.
        """
        self._store, self._selection = store, selection
        self._journal_folder = journals or store / JOURNAL_FOLDER
        self._columns = {**features, SCORE: "double"}
        self._types = {name: LEADING_COLUMNS[name] for name in _SELECTING} | self._columns
        self._schema = pa.schema((name, ARROW_TYPES[kind]) for name, kind in self._types.items())
        self.n_instances = 0
        self.n_requests = 0

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield record batches of the features and `score`; memory does not grow with the store.

        Raises:
            CaptureError: a file is damaged; names it.
        """
        journals = dict(self._journals())
        paths = sorted(self._store.glob(f"*{PARQUET_SUFFIX}"))
        for path in paths:
            journals.pop(path.stem, None)
        for table in journals.values():
            yield from self._tally(ds.dataset(table).scanner(filter=self._selection.filter()))
        if paths:
            yield from self._parquet(paths)

    def _parquet(self, paths: list[Path]) -> Iterator[pa.RecordBatch]:
        names = [str(path) for path in paths]
        files = ds.dataset(names, schema=self._schema, format="parquet")
        columns = [*self._columns, "instance"]
        try:
            yield from self._tally(files.scanner(columns=columns, filter=self._selection.filter()))
        except (pa.ArrowException, OSError) as exc:
            raise CaptureError(_damaged(paths) or self._store, "Parquet inválido") from exc

    def _tally(self, scanner: ds.Scanner) -> Iterator[pa.RecordBatch]:
        for batch in scanner.to_batches():
            if not batch.num_rows:
                continue
            self.n_instances += batch.num_rows
            firsts = pc.sum(pc.equal(batch.column("instance"), 0)).as_py()
            self.n_requests += int(firsts or 0)
            yield batch.select(list(self._columns))

    def _journals(self) -> Iterator[tuple[str, pa.Table]]:
        """Yield the wanted journals by stem, each as a table of the store's schema."""
        for path in sorted(self._journal_folder.glob(f"*{JOURNAL_SUFFIX}")):
            try:
                header, rows = read_journal(path)
            except FileNotFoundError:
                continue  # It has become a Parquet file, which the listing that follows will show.
            except (OSError, ValueError) as exc:
                raise CaptureError(path, str(exc)) from exc
            if header is not None and rows and self._selection.wants(header):
                yield path.stem, self._table(path, header, rows)

    def _table(self, path: Path, header: JournalHeader, rows: list) -> pa.Table:
        """Turn journal rows into columns; a feature that the journal lacks is null."""
        values = dict(zip(header.columns, zip(*rows, strict=True), strict=True))
        columns = []
        for name, kind in self._types.items():
            if name in header.constants:
                column = pa.repeat(pa.scalar(header.constants[name], ARROW_TYPES[kind]), len(rows))
            else:
                column = _array(path, values.get(name, (None,) * len(rows)), kind)
            columns.append(column)
        return pa.table(columns, schema=self._schema)


def _damaged(paths: Sequence[Path]) -> Path | None:
    """Return the first file whose footer cannot be read."""
    for path in paths:
        try:
            pq.read_metadata(path)
        except (pa.ArrowException, OSError):
            return path
    return None


def _array(path: Path, values: tuple, kind: str) -> pa.Array:
    try:
        return pa.array(values, ARROW_TYPES[kind])
    except (pa.ArrowException, TypeError, ValueError):
        # The text of the error quotes the value, which may be a person's: leave it out.
        raise CaptureError(path, f"um valor não é {kind}") from None
