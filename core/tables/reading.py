"""One reader of flat tables: CSV, .xlsx, Parquet, JSON lines, told by content, checked by name.

Folders of Parquet, Delta tables and a bucket's Parquet are read by `core.tables.parquet_folder`.

Cells of CSV and text cells of a workbook are read as the types that the caller names
(`core.tables.numbers`); the other kinds have typed their values. What is no value of its type stays
as it is, for the caller to refuse by row and column.
"""

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from core.messages import N_, _
from core.tables.errors import UnreadableTable
from core.tables.numbers import typed, typed_values
from core.tables.parquet_folder import ParquetPlace, open_dataset
from core.tables.text_form import TextForm, text_form

Columns = dict[str, list[Any]]
"""Cells by column, all of one length."""
Row = dict[str, Any]
XLSX, PARQUET, LINES, TEXT = ".xlsx", ".parquet", ".jsonl", ".csv"
_KINDS = {XLSX: ".xlsx", PARQUET: "Parquet", LINES: "JSON lines"}
_BLOCK = 2**22
_MOST = 20


@dataclass(frozen=True, slots=True)
class OpenTable:
    """A table that was opened; its rows are read when they are asked for, each time anew.

    Attributes:
        names: the columns that have a name, in order.
        taken_for: one line that says what the file was taken for.
        read: yields its columns by pieces of at most so many rows, in the types named.
    """

    names: tuple[str, ...]
    taken_for: str
    read: Callable[[int, Mapping[str, str]], Iterator[Columns]]

    def chunks(self, rows: int, types: Mapping[str, str]) -> Iterator[list[Row]]:
        """Yield at most `rows` rows at a time, cells in the types of their columns.

        Raises:
            UnreadableTable: the file is damaged somewhere; names the line.
        """
        for columns in self.read(rows, types):
            names = list(columns)
            lines = zip(*columns.values(), strict=True)
            yield [dict(zip(names, line, strict=True)) for line in lines]

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


def open_table(source: Path | bytes | str, name: str | None = None) -> OpenTable:
    """Open a table; nothing but its beginning and its encoding is looked at.

    Args:
        source: the file or folder, its content, or `s3://bucket/prefix`.
        name: what messages call it; by default its path.

    Raises:
        UnreadableTable: there is no such file, or it is no table that can be read.
    """
    name = name or (_("the file") if isinstance(source, bytes) else str(source))
    try:
        if isinstance(source, str) or (isinstance(source, Path) and source.is_dir()):
            return _dataset(source, name)
        with _opened(source) as file:
            kind = _kind(file, source, name)
            file.seek(0)
            return _OPENERS[kind](file, source, name)
    except OSError as exc:
        if isinstance(exc, FileNotFoundError):
            raise UnreadableTable(N_("{name}: the file does not exist"), name=name) from exc
        raise UnreadableTable(
            N_("{name}: could not be read ({reason})"), name=name, reason=exc.strerror or ""
        ) from exc
    except (pa.ArrowException, UnicodeError):
        raise UnreadableTable(N_("{name}: is not Parquet"), name=name) from None


def _opened(source: Path | bytes) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def _kind(file: BinaryIO, source: Path | bytes, name: str) -> str:
    """Return what the content is; it must be what the name says, where that says anything."""
    head = file.read(512).lstrip(b"\xef\xbb\xbf \t\r\n")
    found = {b"PK": XLSX, b"PA": PARQUET if head.startswith(b"PAR1") else TEXT}.get(head[:2], TEXT)
    if head.startswith(b"{"):
        found = LINES
    suffix = source.suffix.lower() if isinstance(source, Path) else ""
    if suffix == ".xls" or head.startswith(b"\xd0\xcf\x11\xe0"):
        raise UnreadableTable(N_("{name}: is an old .xls file; save it as .xlsx or CSV"), name=name)
    if suffix in _KINDS and suffix != found:
        raise UnreadableTable(N_("{name}: is not {kind}"), name=name, kind=_KINDS[suffix])
    return found


def _checked(names: Sequence[str], name: str, nameless: bool = False) -> tuple[str, ...]:
    """Return the columns that have a name; an empty one is one where `nameless` says so.

    Raises:
        UnreadableTable: there are none, or two of one name.
    """
    named = tuple(column for column in names if column or nameless)
    twice = [column for column in dict.fromkeys(named) if named.count(column) > 1]
    if twice or not named:
        message = N_("{name}: the header repeats {column}") if twice else N_("{name}: no header")
        raise UnreadableTable(message, name=name, column=", ".join(twice))
    return named


def _csv(file: BinaryIO, source: Path | bytes, name: str) -> OpenTable:
    form = text_form(file, name)
    names = _checked(form.names, name)

    def read(rows: int, types: Mapping[str, str]) -> Iterator[Columns]:
        for batch in _csv_batches(source, form, name):
            for start in range(0, batch.num_rows, rows):
                piece = batch.slice(start, rows)
                yield {
                    column: typed(piece.column(place), types.get(column), form.decimal)
                    for place, column in enumerate(form.names)
                    if column
                }

    return OpenTable(names, f"{name}: {form}", read)


def _csv_batches(source: Path | bytes, form: TextForm, name: str) -> Iterator[pa.RecordBatch]:
    wrong: list[int] = []

    def refuse(row: Any) -> str:
        wrong.append(row.number)
        return "skip"

    places = [str(place) for place in range(len(form.names))]
    text = pa.string()
    opened = pa.BufferReader(source) if isinstance(source, bytes) else str(source)
    try:
        reader = pa_csv.open_csv(
            opened,
            pa_csv.ReadOptions(
                use_threads=False,
                block_size=_BLOCK,
                skip_rows=form.skip,
                column_names=places,
                encoding=form.encoding,
            ),
            pa_csv.ParseOptions(
                delimiter=form.separator, newlines_in_values=True, invalid_row_handler=refuse
            ),
            pa_csv.ConvertOptions(
                column_types=dict.fromkeys(places, text), strings_can_be_null=False
            ),
        )
        for batch in reader:
            if not wrong:
                yield batch
    except pa.ArrowInvalid:
        # Its text quotes the line, which may name a person.
        raise UnreadableTable(
            N_("{name}: is no CSV that can be read to its end"), name=name
        ) from None
    if wrong:
        lines = ", ".join(map(str, wrong[:_MOST])) + ", …" * (len(wrong) > _MOST)
        message = N_("{name}: not {count} values, as in the header, in line {lines}")
        raise UnreadableTable(message, name=name, count=len(form.names), lines=lines)


def _xlsx(_file: BinaryIO, source: Path | bytes, name: str) -> OpenTable:
    header = next(_sheet_rows(source, name), ())
    found = tuple("" if cell is None else str(cell).strip() for cell in header)
    names = _checked(found, name)

    def read(rows: int, types: Mapping[str, str]) -> Iterator[Columns]:
        lines = islice(_sheet_rows(source, name), 1, None)
        while piece := list(islice(lines, rows)):
            yield {
                column: typed_values([_at(line, place) for line in piece], types.get(column), "")
                for place, column in enumerate(found)
                if column
            }

    return OpenTable(names, _("{name}: first sheet of an .xlsx workbook", name=name), read)


def _at(line: Sequence[Any], place: int) -> Any:
    return line[place] if place < len(line) else None


def _sheet_rows(source: Path | bytes, name: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a workbook's first sheet that hold anything."""
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
    except GeneratorExit:
        raise
    except Exception as exc:
        # openpyxl raises whatever the damage leads to.
        message = N_("{name}: is not a readable .xlsx workbook")
        raise UnreadableTable(message, name=name) from exc


def _dataset(source: Path | str, name: str) -> OpenTable:
    dataset = open_dataset(source)
    names = _checked(dataset.schema.names, name, nameless=True)

    def read(rows: int, _types: Mapping[str, str]) -> Iterator[Columns]:
        try:
            # One file and two batches ahead at most: memory does not follow the folder's size.
            for batch in dataset.to_batches(
                batch_size=rows, batch_readahead=2, fragment_readahead=1, use_threads=False
            ):
                if batch.num_rows:
                    yield {column: _without_nan(batch.column(column)) for column in names}
        except pa.ArrowException:
            raise UnreadableTable(N_("{name}: is not Parquet"), name=name) from None

    return OpenTable(names, _("{name}: folder of Parquet", name=name), read)


def _parquet(_file: BinaryIO, source: Path | bytes, name: str) -> OpenTable:
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
    """Return a column's values with NaN as None: pandas writes a missing number so."""
    return [None if value != value else value for value in column.to_pylist()]


def _jsonl(_file: BinaryIO, source: Path | bytes, name: str) -> OpenTable:
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
    number = 0
    try:
        with _opened(source) as file:
            for line in file:
                number += 1
                if line.strip():
                    row = json.loads(line.decode("utf-8-sig"), parse_constant=lambda _text: None)
                    if not isinstance(row, dict):
                        raise ValueError
                    yield row
    except ValueError:
        message = N_("{name}: line {line} is no JSON object in UTF-8")
        raise UnreadableTable(message, name=name, line=number) from None


_OPENERS = {XLSX: _xlsx, PARQUET: _parquet, LINES: _jsonl, TEXT: _csv}
