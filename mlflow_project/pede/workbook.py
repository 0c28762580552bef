"""Open an .xlsx file and read its yearly sheets `PEDE<year>`, without interpreting columns."""

import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.worksheet.worksheet import Worksheet

from core.messages import N_, _
from core.messages.system import system_reason
from mlflow_project.pede.archive import MAX_FILE, MAX_UNPACKED, WorkbookTooLarge, readable_copy
from mlflow_project.pede.errors import DataError, WorkbookError, YearSheetError

Source = Path | bytes
"""A workbook's file, or its content."""
MAX_ROWS = 50_000
"""Most non-empty rows of one sheet."""
MAX_COLUMNS = 500
"""Most columns read of a sheet; further ones are ignored."""
_LAST_ROW = 2**20
"""Last row number that Excel supports."""

NO_FILE = N_("{source}: file not found. Check the path.")
UNREADABLE = N_("{source}: could not be read ({reason}). Check the file's permissions.")
NO_WORKBOOK = N_(
    "{source}: is not a readable .xlsx workbook. Save it in Excel as .xlsx, without a password."
)
TOO_LARGE = N_(
    "{source}: is larger than a workbook of children needs ({file} MB, or {unpacked} MB unpacked). "
    "Leave only the PEDE sheets in it."
)
WIDE = N_(
    "{source}: is the older wide table (2020 to 2022, one row a student, columns such as "
    "INDE_2020), another layout. Use the PEDE workbook with one sheet a year (PEDE2022, PEDE2023, "
    "...)."
)
NO_YEARS = N_(
    "{source}: the workbook has no sheet of a year (PEDE2022, PEDE2023, ...). Use the original "
    "PEDE workbook."
)
GAP = N_(
    "{source}, sheet PEDE{year}: no such sheet, although there are {first} and {last}. Add it: "
    "each year counts only with the next."
)
ONE_YEAR = N_(
    "{source}, sheet PEDE{next}: no such sheet; there is only PEDE{year}, and two consecutive "
    "years are needed. Add the next year's sheet."
)
SECOND = N_("{source}, sheet {sheet}: second sheet of {year}. Leave one sheet a year.")
EMPTY = N_("{source}, sheet {sheet}: empty sheet. Fill it or use the original workbook.")

_SHEET = re.compile(r"\s*pede[\s_-]*(20\d\d)\s*", re.IGNORECASE)
_WIDE = re.compile(r"\w+_20(20|21|22)")


@dataclass(frozen=True, slots=True)
class YearSheet:
    """One year's sheet: its non-empty rows as written, `None` for an empty cell.

    `source` names the workbook in messages; `epoch` is day zero of the workbook's dates, needed to
    convert a date back to the number that was typed.
    """

    source: str
    title: str
    year: int
    rows: Sequence[tuple[Any, ...]]
    epoch: datetime


def read_sheets(source: Source) -> list[YearSheet]:
    """Return the sheets `PEDE<year>` of a workbook by year; other sheets are ignored.

    Raises:
        WorkbookError: there is no such file, or it is no .xlsx workbook that can be read.
        YearSheetError: no sheet of a year, two of one year, or one without a single row.
    """
    name = _("the workbook") if isinstance(source, bytes) else str(source)
    content = source if isinstance(source, bytes) else _content(source)
    try:
        return _load(name, content)
    except DataError:
        raise
    except WorkbookTooLarge as exc:
        file, unpacked = MAX_FILE // 2**20, MAX_UNPACKED // 2**20
        raise WorkbookError(TOO_LARGE, source=name, file=file, unpacked=unpacked) from exc
    except Exception as exc:
        # openpyxl lets exceptions of its parsing through: TypeError, KeyError, zlib.error, ...
        header = content[:4096].decode("latin-1").split("\n")[0].replace(",", ";").split(";")
        raise WorkbookError(WIDE if is_wide(header) else NO_WORKBOOK, source=name) from exc


def require_consecutive(sheets: Sequence[YearSheet]) -> None:
    """Refuse years that are not consecutive, or fewer than two.

    Raises:
        YearSheetError: fewer than two years, or a gap; names the missing sheet.
    """
    years, name = [sheet.year for sheet in sheets], sheets[0].source
    first, last = min(years), max(years)
    for year in range(first, last + 1):
        if year not in years:
            raise YearSheetError(GAP, source=name, year=year, first=first, last=last)
    if first == last:
        raise YearSheetError(ONE_YEAR, source=name, year=first, next=first + 1)


def _content(path: Path) -> bytes:
    if not path.is_file():
        raise WorkbookError(NO_FILE, source=path)
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE + 1)
    except OSError as exc:
        raise WorkbookError(UNREADABLE, source=path, reason=system_reason(exc)) from exc


def _load(name: str, content: bytes) -> list[YearSheet]:
    sheets: dict[int, YearSheet] = {}
    with warnings.catch_warnings():
        # openpyxl warns of drop-down lists and the like, which are not needed to read cells.
        warnings.simplefilter("ignore", UserWarning)
        workbook = openpyxl.load_workbook(
            readable_copy(content), read_only=True, data_only=True, keep_links=False
        )
        for worksheet in workbook.worksheets:
            match = _SHEET.fullmatch(worksheet.title)
            if match is None:
                continue
            year, title = int(match.group(1)), worksheet.title.strip()
            if year in sheets:
                raise YearSheetError(SECOND, source=name, sheet=title, year=year)
            rows = _rows(worksheet)
            if not rows:
                raise YearSheetError(EMPTY, source=name, sheet=title)
            sheets[year] = YearSheet(name, title, year, rows, workbook.epoch)
        if not sheets:
            raise _no_years(name, workbook.worksheets)
    return [sheets[year] for year in sorted(sheets)]


def _rows(worksheet: Worksheet) -> list[tuple[Any, ...]]:
    """Return the non-empty rows.

    Raises:
        WorkbookTooLarge: more than `MAX_ROWS` of them, or rows beyond Excel's last.
    """
    # Some writers state a wrong size for the sheet, which would cut rows off in read-only mode.
    worksheet.reset_dimensions()  # type: ignore[attr-defined]
    rows: list[tuple[Any, ...]] = []
    for number, row in enumerate(worksheet.iter_rows(values_only=True)):
        if number > _LAST_ROW or len(rows) > MAX_ROWS:
            raise WorkbookTooLarge
        filled = row[:MAX_COLUMNS]
        if any(cell is not None for cell in filled):
            rows.append(filled)
    return rows


def _no_years(name: str, worksheets: Iterable[Worksheet]) -> DataError:
    """Return the error of a workbook without a year's sheet."""
    for worksheet in worksheets:
        if is_wide(next(worksheet.iter_rows(max_row=1, values_only=True), ())):
            return WorkbookError(WIDE, source=name)
    return YearSheetError(NO_YEARS, source=name)


def is_wide(header: Iterable[Any]) -> bool:
    """Return whether a header is that of the older table, whose columns are named by year."""
    cells = (str(cell).strip().strip('"') for cell in header)
    return sum(_WIDE.fullmatch(cell) is not None for cell in cells) >= 3
