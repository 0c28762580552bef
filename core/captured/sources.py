"""The readable files and journals of the store; unreadable ones are quarantined.

The store's protocol fixes the order (read the journals, then list the Parquet files), so that
every row captured before the job started appears exactly once.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from core.captured.selection import Selection
from core.journals.journal_arrow import journals_of, read_header, read_whole
from core.messages import _
from core.store.arrow_types import arrow_schema
from core.store.errors import FileDamaged, StoreChanged, StoreUnreachable
from core.store.filesystem import Store, unlike_captures
from core.store.quarantine import Unreadable

_ROWS_HELD = 262_144
"""Rows of one file that are buffered until all of them are read: about 30 MB."""
_FILES_AT_ONCE = 8
"""Files per dataset, which limits Arrow's read-ahead of up to a gigabyte."""


class Sources:
    """The files and journals that may hold a selection's rows.

    Attributes:
        schema: the Arrow types under which every source is read.
        left_out: the unreadable files and journals, which are skipped.
    """

    def __init__(self, store: Store, selection: Selection, types: Mapping[str, str]) -> None:
        """Store the selection and its column types; nothing is read yet."""
        self._store, self._selection = store, selection
        self.schema = arrow_schema(types)
        self.left_out = Unreadable(store)

    def look(self) -> list[ds.Dataset]:
        """Return a snapshot of the store whose footers were verified to be of captured rows."""
        while True:
            journals = dict(self._journals())
            files = self.left_out.files(self._selection.may_hold)
            sources = [ds.dataset(t) for stem, t in journals.items() if not files.holds(stem)]
            paths = [str(path) for path in files.live]
            groups = range(0, len(paths), _FILES_AT_ONCE)
            stored = [self._stored(paths[start : start + _FILES_AT_ONCE]) for start in groups]
            sound = [self._has_sound_footers(source) for source in stored]
            if all(sound):
                return [*sources, *stored]

    def _has_sound_footers(self, source: ds.Dataset) -> bool:
        """Return whether all footers of a group are valid; quarantine files where they are not."""
        sound = True
        for part in source.get_fragments():
            try:
                with self._store.reaching():
                    problem = unlike_captures(part.metadata.schema.to_arrow_schema())
            except FileNotFoundError:
                raise StoreChanged(store=self._store) from None
            except (pa.ArrowException, OSError, StoreUnreachable):
                problem = self._store.damage(PurePath(part.path))
                if problem is None:
                    raise
            if problem is not None:
                sound = False
                self.left_out.add(FileDamaged(path=part.path, reason=problem))
        return sound

    def again(
        self, sources: Sequence[ds.Dataset], columns: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        """Yield rows of sources that were read before; an error means that the store changed."""
        for source in sources:
            try:
                yield from self._batches(source, columns)
            except (pa.ArrowException, OSError) as exc:
                raise StoreChanged(store=self._store) from exc

    def by_file(
        self, sources: Sequence[ds.Dataset], columns: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        """Yield rows on first reading: all of a file, or none of it.

        Unreadable files are quarantined.
        """
        for source in sources:
            paths = list(getattr(source, "files", ()))
            if not paths:
                yield from self._batches(source, columns)
            while paths:
                try:
                    yield from self._whole_files(source, columns, paths)
                except (pa.ArrowException, OSError, StoreUnreachable) as exc:
                    self._leave_out_damaged(paths, exc)
                    paths = [path for path in paths if PurePath(path).name not in self.left_out]
                    if paths:
                        source = self._stored(paths)

    def _whole_files(
        self, source: ds.Dataset, columns: Sequence[str], paths: list[str]
    ) -> Iterator[pa.RecordBatch]:
        """Yield each file's rows once all of them are read, then remove it from `paths`.

        Files too large to buffer are read twice.
        """
        if any(part.metadata.num_rows > _ROWS_HELD for part in source.get_fragments()):
            for _batch in self._batches(source, columns):
                pass
            paths.clear()
            yield from self.again([source], columns)
            return
        scanner = source.scanner(columns=list(columns), filter=self._selection.filter())
        read: list[pa.RecordBatch] = []
        with self._store.reaching():
            for tagged in scanner.scan_batches():
                while tagged.fragment.path != paths[0]:
                    yield from read
                    del paths[0]
                    read = []
                if tagged.record_batch.num_rows:
                    read.append(tagged.record_batch)
        yield from read
        paths.clear()

    def _batches(self, source: ds.Dataset, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        with self._store.reaching():
            scanner = source.scanner(columns=list(columns), filter=self._selection.filter())
            yield from (batch for batch in scanner.to_batches() if batch.num_rows)

    def _leave_out_damaged(self, paths: Sequence[str], cause: Exception) -> None:
        """Quarantine the damaged ones among `paths`; each is read separately to find them."""
        found = False
        for path in paths:
            problem = self._store.damage(PurePath(path)) or self._misfit(path)
            if problem is not None:
                found = True
                self.left_out.add(FileDamaged(path=path, reason=problem))
        if not found:
            if isinstance(cause, StoreUnreachable):
                raise cause
            raise StoreChanged(store=self._store) from cause

    def _misfit(self, path: str) -> str | None:
        """Return the problem of an intact file whose column types are not the model's, or None."""
        try:
            for _batch in self._batches(self._stored([path]), self.schema.names):
                pass
        except pa.ArrowException:
            return _("a column has another type than the model's")
        except FileNotFoundError:
            pass
        return None

    def _stored(self, paths: list[str]) -> ds.Dataset:
        return stored_files(paths, self.schema, self._store.filesystem)

    def _journals(self) -> Iterator[tuple[str, pa.Table]]:
        """Yield the selected journals by stem, each as a table of the store's schema."""
        for path in journals_of(self._store.journals):
            if path.name in self.left_out or not self._selection.may_hold(path.name):
                continue
            try:
                header = read_header(path)
                if header is None or not self._selection.wants(header):
                    continue
                table = read_whole(path)
                if table is not None and table.num_rows:
                    yield path.stem, self._fitted(path, table)
            except FileNotFoundError:
                continue  # Converted to a Parquet file, which the listing that follows includes.
            except FileDamaged as damage:
                self.left_out.add(damage)

    def _fitted(self, path: Path, table: pa.Table) -> pa.Table:
        """Return a journal's rows under the selection's schema; missing columns are null."""
        rows = table.num_rows
        columns = [
            table[field.name] if field.name in table.column_names else pa.nulls(rows)
            for field in self.schema
        ]
        try:
            return pa.table(columns, names=self.schema.names).cast(self.schema)
        except pa.ArrowException:
            # The error's message may quote a value.
            reason = _("a column has another type than the model's")
            raise FileDamaged(path=path, reason=reason) from None


def stored_files(paths: list[str], schema: pa.Schema, filesystem: Any) -> ds.Dataset:
    """Return Parquet files as one dataset whose pages' checksums are verified."""
    options = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
    kind = ds.ParquetFileFormat(default_fragment_scan_options=options)
    return ds.dataset(paths, schema=schema, format=kind, filesystem=filesystem)
