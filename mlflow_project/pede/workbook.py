"""Opening an .xlsx file and finding the yearly sheets `PEDE<year>` in it; no column's meaning."""

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet.worksheet import Worksheet

from mlflow_project.pede.errors import SheetError, WorkbookError

_SHEET = re.compile(r"\s*pede[\s_-]*(20\d\d)\s*", re.IGNORECASE)
_NO_WORKBOOK = (BadZipFile, InvalidFileException, KeyError, ParseError, EOFError, ValueError)


@dataclass(frozen=True, slots=True)
class Sheet:
    """One year's sheet: its non-empty rows as written, `None` for an empty cell.

    `epoch` is day zero of the workbook's dates, which a number shown as a date needs.
    """

    title: str
    year: int
    rows: Sequence[tuple[Any, ...]]
    epoch: datetime


def read_sheets(path: Path) -> list[Sheet]:
    """Return the sheets `PEDE<year>` of a workbook by year; other sheets are not looked at.

    Raises:
        WorkbookError: there is no such file, or it is no .xlsx workbook.
        SheetError: two sheets of one year, or a sheet without a single row.
    """
    if not path.is_file():
        raise WorkbookError(path, "arquivo não encontrado", "Confira o caminho.")
    return _translated(path, _load)


def require_consecutive(path: Path, years: Sequence[int]) -> None:
    """Refuse years from which no unbroken series of pairs t → t+1 can be made.

    Raises:
        SheetError: fewer than two years, or a gap; names the missing sheet.
    """
    if not years:
        problem = "a planilha não tem nenhuma aba de ano (PEDE2022, PEDE2023, ...)"
        raise SheetError(path, "PEDE<ano>", problem, "Use a planilha PEDE original.")
    present = set(years)
    for year in range(min(years), max(years) + 1):
        if year not in present:
            problem = f"aba ausente, embora haja {min(years)} e {max(years)}"
            remedy = "Inclua a aba: cada ano só vale com o seguinte."
            raise SheetError(path, f"PEDE{year}", problem, remedy)
    if len(present) == 1:
        problem = f"aba ausente; só há PEDE{min(years)} e são precisos dois anos seguidos"
        raise SheetError(path, f"PEDE{min(years) + 1}", problem, "Inclua a aba do ano seguinte.")


def _translated(path: Path, load: Callable[[Path], list[Sheet]]) -> list[Sheet]:
    try:
        return load(path)
    except SheetError:
        raise
    except _NO_WORKBOOK as exc:
        remedy = "Salve a planilha no Excel como .xlsx, sem senha."
        raise WorkbookError(path, "não é uma planilha .xlsx legível", remedy) from exc
    except OSError as exc:
        remedy = "Confira as permissões do arquivo."
        raise WorkbookError(path, f"não pôde ser lido ({exc.strerror})", remedy) from exc


def _load(path: Path) -> list[Sheet]:
    """Read by an open file: openpyxl judges a path by its ending, a file by its content."""
    sheets: dict[int, Sheet] = {}
    with path.open("rb") as file, warnings.catch_warnings():
        # openpyxl warns of drop-down lists and the like, which no reading of cells needs.
        warnings.simplefilter("ignore", UserWarning)
        workbook = openpyxl.load_workbook(file, read_only=True, data_only=True)
        for worksheet in workbook.worksheets:
            match = _SHEET.fullmatch(worksheet.title)
            if match is None:
                continue
            year = int(match.group(1))
            if year in sheets:
                remedy = "Deixe uma só aba por ano."
                raise SheetError(path, worksheet.title, f"segunda aba de {year}", remedy)
            rows = _rows(worksheet)
            if not rows:
                remedy = "Preencha a aba ou use a planilha original."
                raise SheetError(path, worksheet.title, "aba vazia", remedy)
            sheets[year] = Sheet(worksheet.title.strip(), year, rows, workbook.epoch)
    return [sheets[year] for year in sorted(sheets)]


def _rows(worksheet: Worksheet) -> list[tuple[Any, ...]]:
    # Some writers state a wrong size for the sheet, which would cut rows off in read-only mode.
    worksheet.reset_dimensions()  # type: ignore[attr-defined]
    rows = worksheet.iter_rows(values_only=True)
    return [row for row in rows if any(cell is not None for cell in row)]
