"""Write a table in chunks: Parquet, .xlsx, CSV; with semicolons for Excel in Brazil.

No cell can inject a formula: text that a spreadsheet would execute stays text, in a workbook by its
type and in CSV by a leading apostrophe.
"""

import csv
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from core.messages import N_
from core.tables.errors import UnreadableTable

FORMATS = (".parquet", ".xlsx", ".csv")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Prefixes of text that a spreadsheet would execute."""
MOST_XLSX = 2**20 - 1
"""Maximum number of rows below the header in a sheet of Excel."""


class Writer(Protocol):
    """A writer of a table's rows, in order, all of one schema."""

    def write(self, table: pa.Table) -> None:
        """Write the next rows."""
        ...

    def close(self) -> None:
        """Write remaining data and finish the file."""
        ...


def check_output(output: Path, excel_br: bool, rows: int = 0) -> None:
    """Check that a table can be written under this name, before any work.

    Raises:
        UnreadableTable: the name ends in no known format, the options contradict it, or it cannot
            hold so many rows.
    """
    suffix = output.suffix.lower()
    if suffix not in FORMATS:
        known = ", ".join(FORMATS)
        raise UnreadableTable(N_("{name}: must end in one of {known}"), name=output, known=known)
    if excel_br and suffix != ".csv":
        raise UnreadableTable(N_("{name}: --excel-br is for .csv"), name=output)
    if suffix == ".xlsx" and rows > MOST_XLSX:
        message = N_("{name}: a sheet holds {most} rows; write .csv or .parquet")
        raise UnreadableTable(message, name=output, most=MOST_XLSX)


def table_writer(file: Path, output: Path, schema: pa.Schema, excel_br: bool) -> closing[Writer]:
    """Open a writer to `file` in the format of the suffix of `output`; the context closes it."""
    suffix = output.suffix.lower()
    if suffix == ".parquet":
        return closing(pq.ParquetWriter(file, schema))
    if suffix == ".xlsx":
        return closing(_Workbook(file, schema))
    return closing(_Delimited(file, schema, excel_br))


def harmless(text: str) -> str:
    """Return text for a CSV cell, escaped so that no spreadsheet executes it as a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


class _Delimited:
    """CSV in UTF-8: commas and decimal points, or semicolons, decimal commas and a BOM."""

    def __init__(self, file: Path, schema: pa.Schema, excel_br: bool) -> None:
        self._br = excel_br
        encoding = "utf-8-sig" if excel_br else "utf-8"
        self._file = file.open("w", encoding=encoding, newline="")
        self._csv = csv.writer(self._file, delimiter=";" if excel_br else ",")
        self._csv.writerow(map(harmless, schema.names))

    def write(self, table: pa.Table) -> None:
        columns = [[self._cell(value) for value in c.to_pylist()] for c in table.columns]
        self._csv.writerows(zip(*columns, strict=True))

    def close(self) -> None:
        self._file.close()

    def _cell(self, value: Any) -> str:
        if value is None or value != value:
            return ""
        if isinstance(value, bool):
            return str(int(value)) if self._br else str(value).lower()
        if isinstance(value, int | float):
            return str(value).replace(".", ",") if self._br else str(value)
        return harmless(str(value))


class _Workbook:
    """An .xlsx workbook of one sheet."""

    def __init__(self, file: Path, schema: pa.Schema) -> None:
        from openpyxl import Workbook

        self._file = file
        self._book = Workbook(write_only=True)
        self._sheet = self._book.create_sheet()
        self._sheet.freeze_panes = "A2"
        self._sheet.append([self._cell(name) for name in schema.names])

    def write(self, table: pa.Table) -> None:
        for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
            self._sheet.append([self._cell(value) for value in row])

    def close(self) -> None:
        self._book.save(self._file)

    def _cell(self, value: Any) -> Any:
        from openpyxl.cell import WriteOnlyCell
        from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

        if not isinstance(value, str):
            return None if value != value else value
        cell = WriteOnlyCell(self._sheet, ILLEGAL_CHARACTERS_RE.sub("", value))
        cell.data_type = "s"
        cell.quotePrefix = value.startswith(FORMULA)
        return cell
