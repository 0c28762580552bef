"""One year's sheet, of a workbook or of a flat table saved from it (CSV, Parquet, JSON lines)."""

import re
from pathlib import Path

from openpyxl.utils.datetime import WINDOWS_EPOCH

from core.messages import N_
from core.tables.reading import open_table
from mlflow_project.pede.errors import WorkbookError, YearSheetError
from mlflow_project.pede.workbook import EMPTY, WIDE, Source, YearSheet, is_wide, read_sheets

FLAT = (".csv", ".tsv", ".txt", ".parquet", ".jsonl")
NOT_ASKED = N_("{source}, sheet PEDE{year}: no such sheet. Years in the workbook: {years}.")
WHICH_YEAR = N_(
    "{source}: of which year is it? Say it with --year, or name the file PEDE<year>{suffix}."
)
_YEAR = re.compile(r"pede[\s_-]*(20\d\d)", re.IGNORECASE)


def read_year(source: Source, year: int | None = None) -> YearSheet:
    """Return one year's sheet: the newest or given one of a workbook, or a flat table.

    Raises:
        DataError: as `read_sheets`; YearSheetError if the workbook has no sheet of the year, or a
            table's year is neither given nor in its name.
        UnreadableTable: the flat table cannot be read.
    """
    if isinstance(source, Path) and source.suffix.lower() in FLAT:
        return _flat(source, year)
    sheets = {sheet.year: sheet for sheet in read_sheets(source)}
    newest = max(sheets)
    if year and year not in sheets:
        name, years = sheets[newest].source, ", ".join(map(str, sheets))
        raise YearSheetError(NOT_ASKED, source=name, year=year, years=years)
    return sheets[year or newest]


def _flat(source: Path, year: int | None) -> YearSheet:
    table = open_table(source, numbering=True)
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
    header = tuple(table.numbered.get(name, name) for name in table.names)
    return YearSheet(str(source), source.name, year, [header, *filled], WINDOWS_EPOCH)
