"""Reader of flat tables: CSV, .xlsx, Parquet, JSON lines, detected by content, checked by name.

Folders of Parquet, Delta tables and a bucket's Parquet are read by `core.tables.parquet_folder`.

Cells of CSV and text cells of a workbook are converted to the types that the caller requests
(`core.tables.numbers`); the other formats have typed values. A cell that cannot be converted stays
unchanged, for the caller to reject by row and column.
"""

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from core.messages import N_, _
from core.messages.system import system_reason
from core.tables.errors import UnreadableTable
from core.tables.numbers import typed, typed_values
from core.tables.parquet_folder import ParquetPlace, open_dataset
from core.tables.text_form import text_form

Columns = dict[str, list[Any]]
"""Cells by column, all of one length."""
Row = dict[str, Any]
XLSX, PARQUET, LINES, TEXT = ".xlsx", ".parquet", ".jsonl", ".csv"
_KINDS = {XLSX: ".xlsx", PARQUET: "Parquet", LINES: "JSON lines"}
_BEGINNINGS = {b"PK": XLSX, b"PAR1": PARQUET, b"{": LINES}
_BLOCK = 2**22


@dataclass(frozen=True, slots=True)
class OpenTable:
    """An opened table; its rows are read on demand, anew by each call.

    Attributes:
        names: the columns that have a name, in order.
        taken_for: one line that describes the detected format.
        read: yields its columns in chunks of at most so many rows, in the requested types.
        numbered: header texts of the repeated columns, by their names with a number appended.
    """

    names: tuple[str, ...]
    taken_for: str
    read: Callable[[int, Mapping[str, str]], Iterator[Columns]]
    numbered: Mapping[str, str] = field(default_factory=dict)

    def chunks(self, rows: int, types: Mapping[str, str]) -> Iterator[list[Row]]:
        """Yield at most `rows` rows at a time, cells in the types of their columns.

        Raises:
            UnreadableTable: the file is damaged somewhere; names the line.
        """
        for columns in self.read(rows, types):
            lines = zip(*columns.values(), strict=True)
            yield [dict(zip(columns, line, strict=True)) for line in lines]

    def columns(self, types: Mapping[str, str] | None = None) -> Columns:
        """Return all cells by column.

        Raises:
            UnreadableTable: the file is damaged somewhere; names the line.
        """
        whole: Columns = {name: [] for name in self.names}
        for columns in self.read(_BLOCK, types or {}):
            for name, cells in columns.items():
                whole[name].extend(cells)
        return whole


def open_table(source: Path | bytes | str, *, numbering: bool = False) -> OpenTable:
    """Open a table: a file or folder, its content, or `s3://bucket/prefix`.

    Only its columns and encoding are determined; JSON lines are read to the end for this. With
    `numbering` a CSV file's second column `x` becomes `x (2)`; else a repeated name is rejected.

    Raises:
        UnreadableTable: there is no such file, or it is not a readable table.
    """
    name = _("the file") if isinstance(source, bytes) else str(source)
    try:
        if isinstance(source, str) or (isinstance(source, Path) and source.is_dir()):
            return _dataset(source, name)
        kind = _kind(source, name)
        return _csv(source, name, numbering) if kind == TEXT else _OPENERS[kind](source, name)
    except FileNotFoundError as exc:
        raise UnreadableTable(N_("{name}: the file does not exist"), name=name) from exc
    except OSError as exc:
        message = N_("{name}: could not be read ({reason})")
        raise UnreadableTable(message, name=name, reason=system_reason(exc)) from exc
    except (pa.ArrowException, UnicodeError):
        raise UnreadableTable(N_("{name}: is not Parquet"), name=name) from None


def _opened(source: Path | bytes) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def _kind(source: Path | bytes, name: str) -> str:
    """Return the format of the content, which must agree with a known suffix of the name."""
    with _opened(source) as file:
        head = file.read(512).lstrip(b"\xef\xbb\xbf \t\r\n")
    found = next((kind for begun, kind in _BEGINNINGS.items() if head.startswith(begun)), TEXT)
    suffix = source.suffix.lower() if isinstance(source, Path) else ""
    if suffix == ".xls" or head.startswith(b"\xd0\xcf\x11\xe0"):
        raise UnreadableTable(N_("{name}: is an old .xls file; save it as .xlsx or CSV"), name=name)
    if suffix in _KINDS and suffix != found:
        raise UnreadableTable(N_("{name}: is not {kind}"), name=name, kind=_KINDS[suffix])
    return found


def _checked(names: Sequence[str], name: str, nameless: bool = False) -> tuple[str, ...]:
    """Return the columns that have a name (or all, if `nameless`), checked to be distinct."""
    named = tuple(column for column in names if column or nameless)
    twice = [column for column in dict.fromkeys(named) if named.count(column) > 1]
    if twice or not named:
        message = N_("{name}: the header repeats {column}") if twice else N_("{name}: no header")
        raise UnreadableTable(message, name=name, column=", ".join(twice))
    return named


def _csv(source: Path | bytes, name: str, numbering: bool) -> OpenTable:
    with _opened(source) as file:
        form = text_form(file, name)
    found = _numbered(form.names) if numbering else form.names
    names = _checked(found, name)

    def read(rows: int, types: Mapping[str, str]) -> Iterator[Columns]:
        for batch in form.batches(source, name):
            for start in range(0, batch.num_rows, rows):
                piece = batch.slice(start, rows)
                yield {
                    column: typed(piece.column(place), types.get(column), form.decimal)
                    for place, column in enumerate(found)
                    if column
                }

    numbered = {key: column for key, column in zip(found, form.names, strict=True) if key != column}
    return OpenTable(names, f"{name}: {form}", read, numbered)


def _numbered(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names, a repeated one with a number appended."""
    times: Counter[str] = Counter()
    found = []
    for name in names:
        times[name] += 1
        found.append(f"{name} ({times[name]})" if name and times[name] > 1 else name)
    return tuple(found)


def _xlsx(source: Path | bytes, name: str) -> OpenTable:
    header = next(_sheet_rows(source, name), ())
    found = tuple("" if cell is None else str(cell).strip() for cell in header)
    names = _checked(found, name)

    def read(rows: int, types: Mapping[str, str]) -> Iterator[Columns]:
        lines = islice(_sheet_rows(source, name), 1, None)
        while piece := list(islice(lines, rows)):
            yield {
                column: typed_values(cells, types.get(column))
                for column, *cells in zip_longest(found, *piece)
                if column
            }

    return OpenTable(names, _("{name}: first sheet of an .xlsx workbook", name=name), read)


def _sheet_rows(source: Path | bytes, name: str) -> Iterator[tuple[Any, ...]]:
    """Yield the non-empty rows of a workbook's first sheet."""
    from openpyxl import load_workbook

    try:
        book = load_workbook(
            io.BytesIO(source) if isinstance(source, bytes) else source,
            read_only=True,
            data_only=True,
            keep_links=False,
        )
        sheet = book.worksheets[0]
        with suppress(AttributeError):
            sheet.reset_dimensions()  # some writers state a wrong size
        for row in sheet.iter_rows(values_only=True):
            if any(cell is not None for cell in row):
                yield row
    except Exception as exc:
        # openpyxl raises exceptions of many classes for a damaged file.
        message = N_("{name}: is not a readable .xlsx workbook")
        raise UnreadableTable(message, name=name) from exc


def _dataset(source: Path | str, name: str) -> OpenTable:
    dataset = open_dataset(source)
    names = _checked(dataset.schema.names, name, nameless=True)

    def read(rows: int, _types: Mapping[str, str]) -> Iterator[Columns]:
        try:
            # Read ahead one file and two batches: memory does not grow with the folder's size.
            for batch in dataset.to_batches(
                batch_size=rows, batch_readahead=2, fragment_readahead=1, use_threads=False
            ):
                if batch.num_rows:
                    yield {column: _without_nan(batch.column(column)) for column in names}
        except pa.ArrowException:
            raise UnreadableTable(N_("{name}: is not Parquet"), name=name) from None

    return OpenTable(names, _("{name}: folder of Parquet", name=name), read)


def _parquet(source: Path | bytes, name: str) -> OpenTable:
    if isinstance(source, Path):
        ParquetPlace.of(source).plain_files()

    def opened() -> pq.ParquetFile:
        return pq.ParquetFile(pa.BufferReader(source) if isinstance(source, bytes) else source)

    with opened() as file:
        names = _checked(file.schema_arrow.names, name, nameless=True)

    def read(rows: int, _types: Mapping[str, str]) -> Iterator[Columns]:
        try:
            with opened() as file:
                for batch in file.iter_batches(rows):
                    yield {column: _without_nan(batch.column(column)) for column in names}
        except pa.ArrowException:
            raise UnreadableTable(N_("{name}: is not Parquet"), name=name) from None

    return OpenTable(names, _("{name}: Parquet", name=name), read)


def _without_nan(column: pa.Array) -> list[Any]:
    """Return a column's values with NaN as None: pandas writes missing numbers as NaN."""
    return [None if value != value else value for value in column.to_pylist()]


def _jsonl(source: Path | bytes, name: str) -> OpenTable:
    names: dict[str, None] = {}
    for row in _json_rows(source, name):
        names.update(dict.fromkeys(row))

    def read(rows: int, _types: Mapping[str, str]) -> Iterator[Columns]:
        lines = _json_rows(source, name)
        while piece := list(islice(lines, rows)):
            yield {column: [row.get(column) for row in piece] for column in names}

    found = _checked(list(names), name, nameless=True)
    return OpenTable(found, _("{name}: JSON lines in UTF-8", name=name), read)


def _json_rows(source: Path | bytes, name: str) -> Iterator[Row]:
    with _opened(source) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8-sig"), parse_constant=lambda _text: None)
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict):
                message = N_("{name}: line {line} is no JSON object in UTF-8")
                raise UnreadableTable(message, name=name, line=number)
            yield row


_OPENERS = {XLSX: _xlsx, PARQUET: _parquet, LINES: _jsonl}
