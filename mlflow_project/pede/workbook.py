"""Opening an .xlsx file and finding the yearly sheets `PEDE<year>` in it; no column's meaning."""

import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.worksheet.worksheet import Worksheet

from core.messages import _
from mlflow_project.pede.archive import MAX_FILE, MAX_UNPACKED, ArchiveTooLarge, readable_copy
from mlflow_project.pede.errors import DataError, WorkbookError, YearSheetError

Source = Path | bytes
"""A workbook's file, or its content."""
MAX_ROWS = 50_000
"""Rows of one sheet that hold anything."""
MAX_COLUMNS = 500
"""Columns of a sheet; what stands further right is not looked at."""
_LAST_ROW = 2**20
"""Excel's own last row."""

_SHEET = re.compile(r"\s*pede[\s_-]*(20\d\d)\s*", re.IGNORECASE)
_WIDE = re.compile(r"\w+_20(20|21|22)")


@dataclass(frozen=True, slots=True)
class YearSheet:
    """One year's sheet: its non-empty rows as written, `None` for an empty cell.

    `source` names the workbook in messages; `epoch` is day zero of the workbook's dates, which a
    number shown as a date needs.
    """

    source: str
    title: str
    year: int
    rows: Sequence[tuple[Any, ...]]
    epoch: datetime


def read_sheets(source: Source) -> list[YearSheet]:
    """Return the sheets `PEDE<year>` of a workbook by year; other sheets are not looked at.

    Raises:
        WorkbookError: there is no such file, or it is no .xlsx workbook that can be read.
        YearSheetError: no sheet of a year, two of one year, or one without a single row.
    """
    name = named(source)
    content = source if isinstance(source, bytes) else _content(source)
    try:
        return _load(name, content)
    except DataError:
        raise
    except ArchiveTooLarge as exc:
        problem = _(
            "is larger than a workbook of children needs ({file} MB, or {unpacked} MB unpacked)",
            file=MAX_FILE // 2**20,
            unpacked=MAX_UNPACKED // 2**20,
        )
        remedy = _("Leave only the PEDE sheets in it.")
        raise WorkbookError(source=name, problem=problem, remedy=remedy) from exc
    except Exception as exc:
        # openpyxl raises whatever its parsing stumbles over: TypeError, KeyError, zlib.error, ...
        if _is_wide(content[:4096].decode("latin-1").split("\n")[0].replace(",", ";").split(";")):
            raise _wide(name) from exc
        problem = _("is not a readable .xlsx workbook")
        remedy = _("Save the workbook in Excel as .xlsx, without a password.")
        raise WorkbookError(source=name, problem=problem, remedy=remedy) from exc


def read_sheet(source: Source, year: int | None = None) -> YearSheet:
    """Return the newest year's sheet of a workbook, or the given year's.

    Raises:
        DataError: as `read_sheets`; YearSheetError also where the given year has no sheet.
    """
    sheets = {sheet.year: sheet for sheet in read_sheets(source)}
    found = sheets.get(year or max(sheets))
    if found is None:
        problem = _("no such sheet")
        remedy = _("Years in the workbook: {years}.", years=", ".join(map(str, sheets)))
        name = named(source)
        raise YearSheetError(source=name, sheet=f"PEDE{year}", problem=problem, remedy=remedy)
    return found


def named(source: Source) -> str:
    """Return what messages call a workbook."""
    return _("the workbook") if isinstance(source, bytes) else str(source)


def require_consecutive(sheets: Sequence[YearSheet]) -> None:
    """Refuse years from which no unbroken series of pairs t → t+1 can be made.

    Raises:
        YearSheetError: fewer than two years, or a gap; names the missing sheet.
    """
    years, name = [sheet.year for sheet in sheets], sheets[0].source
    first, last = min(years), max(years)
    for year in range(first, last + 1):
        if year not in years:
            problem = _(
                "no such sheet, although there are {first} and {last}", first=first, last=last
            )
            remedy = _("Add the sheet: each year counts only with the next.")
            raise YearSheetError(source=name, sheet=f"PEDE{year}", problem=problem, remedy=remedy)
    if first == last:
        problem = _(
            "no such sheet; there is only PEDE{year}, and two consecutive years are needed",
            year=first,
        )
        remedy = _("Add the next year's sheet.")
        raise YearSheetError(source=name, sheet=f"PEDE{first + 1}", problem=problem, remedy=remedy)


def _content(path: Path) -> bytes:
    if not path.is_file():
        problem, remedy = _("file not found"), _("Check the path.")
        raise WorkbookError(source=path, problem=problem, remedy=remedy)
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE + 1)
    except OSError as exc:
        problem = _("could not be read ({reason})", reason=exc.strerror)
        remedy = _("Check the file's permissions.")
        raise WorkbookError(source=path, problem=problem, remedy=remedy) from exc


def _load(name: str, content: bytes) -> list[YearSheet]:
    sheets: dict[int, YearSheet] = {}
    with warnings.catch_warnings():
        # openpyxl warns of drop-down lists and the like, which no reading of cells needs.
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
                problem = _("second sheet of {year}", year=year)
                remedy = _("Leave one sheet a year.")
                raise YearSheetError(source=name, sheet=title, problem=problem, remedy=remedy)
            rows = _rows(worksheet)
            if not rows:
                remedy = _("Fill the sheet or use the original workbook.")
                problem = _("empty sheet")
                raise YearSheetError(source=name, sheet=title, problem=problem, remedy=remedy)
            sheets[year] = YearSheet(name, title, year, rows, workbook.epoch)
        if not sheets:
            raise _no_years(name, workbook.worksheets)
    return [sheets[year] for year in sorted(sheets)]


def _rows(worksheet: Worksheet) -> list[tuple[Any, ...]]:
    """Return the rows that hold anything.

    Raises:
        ArchiveTooLarge: more rows than a sheet of children has.
    """
    # Some writers state a wrong size for the sheet, which would cut rows off in read-only mode.
    worksheet.reset_dimensions()  # type: ignore[attr-defined]
    rows: list[tuple[Any, ...]] = []
    for number, row in enumerate(worksheet.iter_rows(values_only=True)):
        if number > _LAST_ROW or len(rows) > MAX_ROWS:
            raise ArchiveTooLarge
        filled = row[:MAX_COLUMNS]
        if any(cell is not None for cell in filled):
            rows.append(filled)
    return rows


def _no_years(name: str, worksheets: Iterable[Worksheet]) -> DataError:
    """Return the error of a workbook without a year's sheet."""
    for worksheet in worksheets:
        if _is_wide(next(worksheet.iter_rows(max_row=1, values_only=True), ())):
            return _wide(name)
    problem = _("the workbook has no sheet of a year (PEDE2022, PEDE2023, ...)")
    remedy = _("Use the original PEDE workbook.")
    return YearSheetError(source=name, sheet=_("PEDE<year>"), problem=problem, remedy=remedy)


def _is_wide(header: Iterable[Any]) -> bool:
    """Return whether a header is that of the older table, whose columns are named by year."""
    cells = (str(cell).strip().strip('"') for cell in header)
    return sum(_WIDE.fullmatch(cell) is not None for cell in cells) >= 3


def _wide(name: str) -> WorkbookError:
    problem = _(
        "is the older wide table (2020 to 2022, one row a student, columns such as INDE_2020), "
        "another layout"
    )
    remedy = _("Use the PEDE workbook with one sheet a year (PEDE2022, PEDE2023, ...).")
    return WorkbookError(source=name, problem=problem, remedy=remedy)
