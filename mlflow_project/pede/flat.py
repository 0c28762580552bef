"""One year's sheet, of a workbook or saved from it as a flat table (CSV, Parquet, JSON lines)."""

import re
from pathlib import Path

from openpyxl.utils.datetime import WINDOWS_EPOCH

from core.messages import N_
from core.tables.reading import open_table
from mlflow_project.pede.errors import WorkbookError, YearSheetError
from mlflow_project.pede.workbook import EMPTY, WIDE, Source, YearSheet, is_wide, read_sheet

FLAT = (".csv", ".tsv", ".txt", ".parquet", ".jsonl")
WHICH_YEAR = N_(
    "{source}: of which year is it? Say it with --year, or name the file PEDE<year>{suffix}."
)
_YEAR = re.compile(r"pede[\s_-]*(20\d\d)", re.IGNORECASE)


def read_year(source: Source, year: int | None = None) -> YearSheet:
    """Return a year's sheet: of a workbook the newest or the given one, of a flat table its only.

    Raises:
        DataError: as `read_sheet`; YearSheetError where nothing says which year a table is of.
        UnreadableTable: the flat table cannot be read.
    """
    if isinstance(source, Path) and source.suffix.lower() in FLAT:
        return _flat(source, year)
    return read_sheet(source, year)


def _flat(source: Path, year: int | None) -> YearSheet:
    table = open_table(source)
    if is_wide(table.names):
        raise WorkbookError(WIDE, source=source)
    named = _YEAR.search(source.stem)
    if year is None and named is None:
        raise YearSheetError(WHICH_YEAR, source=source, suffix=source.suffix)
    cells = table.columns().values()
    rows = [tuple(cell if cell != "" else None for cell in row) for row in zip(*cells, strict=True)]
    filled = [row for row in rows if any(cell is not None for cell in row)]
    if not filled:
        raise YearSheetError(EMPTY, source=source, sheet=source.name)
    year = year or int(named[1] if named else 0)
    return YearSheet(str(source), source.name, year, [table.names, *filled], WINDOWS_EPOCH)
