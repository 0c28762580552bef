"""Parse one cell of a PEDE sheet to one value, with a note if it had to be interpreted.

Each reader takes a cell as openpyxl returns it and returns `(value, note)`: the value None where
there is none, the note None where nothing had to be interpreted. Notes never hold the cell's text.
"""

import math
import re
from datetime import date, datetime, time, timedelta
from typing import Any

from openpyxl.utils.datetime import to_excel

from core.contract.pseudonym import canonical
from core.messages import N_
from mlflow_project.pede.archive import UNSTORED
from mlflow_project.pede.columns import plain
from mlflow_project.pede.reading_report import Note

Number = tuple[float | None, Note | None]
Category = tuple[str | None, Note | None]
Read = Number | Category

FROM_DATE = Note(N_("Excel date read as a number"), "converted")
FROM_TEXT = Note(N_("number written as text"), "converted")
FROM_PHASE_NAME = Note(N_("phase in words or with its class"), "converted")
FROM_DATE_TEXT = Note(N_("date written as text"), "converted")
FROM_OTHER_SPELLING = Note(N_("other spelling"), "converted")
ABOVE_TEN = Note(N_("slightly above 10 (rounding)"), "kept")
TEXT = Note(N_("text in place of a number"), "unreadable")
EXCEL_ERROR = Note(N_("formula error of Excel"), "unreadable")
NO_STORED_VALUE = Note(N_("formula without a stored value"), "unreadable")
NO_PHASE = Note(N_("unknown phase"), "unreadable")
NO_YEAR = Note(N_("unknown date or year"), "unreadable")
NO_CATEGORY = Note(N_("unknown category"), "unreadable")
OTHER_SCHOOL = Note(N_("situation grouped as “outra”"), "converted")

RA = "RA"
"""Prefix of an RA in its canonical form, `RA-12`."""
_DECIMAL = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)")
_PHASE = re.compile(r"fase ?(\d) ?[a-z]{0,2}(?: .*)?|(\d) ?[a-z]{0,2}")
_YEAR_IN_DATE = re.compile(r"(\d{4})(?:-\d{1,2}-\d{1,2}.*)?|\d{1,2}[/.-]\d{1,2}[/.-](\d{4}).*")
_GENDERS = {
    "feminino": "feminino",
    "masculino": "masculino",
    "menina": "feminino",
    "menino": "masculino",
    "f": "feminino",
    "m": "masculino",
}
_SUMMARY = re.compile(
    r"(contagem|desvio|fonte|legenda|maximo|media|mediana|minimo|nota|obs|observacao|quantidade|"
    r"soma|subtotal|total)\b"
)
_PRIVATE_NETWORKS = ("rede decisao", "escola jp ii")
_FIRST_REAL_YEAR = 1920
"""First plausible year of birth: earlier dates are small numbers in cells formatted as dates."""


def is_blank(cell: Any) -> bool:
    """Return whether a cell is empty or holds only whitespace."""
    return cell is None or (isinstance(cell, str) and not cell.strip())


def read_text(cell: Any) -> str:
    """Return a cell's text as displayed; empty for an empty cell."""
    if is_blank(cell) or cell == UNSTORED:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return str(cell).strip()


def read_identity(cell: Any) -> Category:
    """Return an RA in its canonical form (`RA-12`), which is the same in every sheet."""
    if cell == UNSTORED:
        return None, NO_STORED_VALUE
    text = read_text(cell)
    ra = canonical(text, RA)
    return ra or None, None if ra == text else FROM_OTHER_SPELLING


def is_summary(ra: str) -> bool:
    """Return whether an RA marks a summary row (`Total`, `Média`); every real RA has a digit."""
    return not any(c.isdigit() for c in ra) or _SUMMARY.match(plain(ra)) is not None


def read_number(cell: Any, epoch: datetime) -> Number:
    """Return a number: as it is, from text with a point or a comma, or from a date's serial.

    A number typed into a cell formatted as a date is returned as a date: 8 is 1900-01-08.
    """
    if is_blank(cell):
        return None, None
    if isinstance(cell, str):
        return _number_from_text(cell.strip())
    if isinstance(cell, (date, time, timedelta)):  # a datetime is a date
        return float(to_excel(cell, epoch)), FROM_DATE
    if isinstance(cell, bool) or not isinstance(cell, (int, float)) or not math.isfinite(cell):
        return None, TEXT
    return float(cell), None


def read_phase(cell: Any, epoch: datetime) -> Number:
    """Return a phase from `7`, `FASE 1`, `1A`, `Fase 8 (Universitários)`, `ALFA` (0)."""
    if not isinstance(cell, str) or is_blank(cell):
        value, note = read_number(cell, epoch)
        return (value, note) if value is None or value.is_integer() else (None, NO_PHASE)
    if cell.strip().startswith("#"):
        return None, EXCEL_ERROR
    text = plain(cell)
    if text.split(" ")[0] == "alfa":
        return 0.0, FROM_PHASE_NAME
    match = _PHASE.fullmatch(text)
    if match is None:
        return None, NO_PHASE
    return float(match.group(1) or match.group(2)), FROM_TEXT if text.isdigit() else FROM_PHASE_NAME


def read_year(cell: Any, epoch: datetime) -> Number:
    """Return the year of a date, of a text `m/d/yyyy`, or a bare year."""
    if isinstance(cell, date) and cell.year >= _FIRST_REAL_YEAR:
        return float(cell.year), None
    if isinstance(cell, str) and not is_blank(cell):
        match = _YEAR_IN_DATE.fullmatch(cell.strip())
        if match is None:
            return None, NO_YEAR
        return float(match.group(1) or match.group(2)), FROM_DATE_TEXT
    return read_number(cell, epoch)


def read_gender(cell: Any) -> Category:
    """Return `feminino` or `masculino`."""
    if is_blank(cell):
        return None, None
    text = plain(str(cell))
    gender = _GENDERS.get(text)
    if gender is None:
        return None, NO_CATEGORY
    return gender, None if text == gender else FROM_OTHER_SPELLING


def read_school(cell: Any) -> Category:
    """Return `publica`, `privada`, or `outra` for any other situation (finished school, say)."""
    if is_blank(cell):
        return None, None
    text = plain(str(cell))
    if "publica" in text.split():
        return "publica", None
    if text.startswith("privada"):
        return "privada", None
    if text.startswith(_PRIVATE_NETWORKS):
        return "privada", FROM_OTHER_SPELLING
    return "outra", OTHER_SCHOOL


def _number_from_text(text: str) -> Number:
    if text.startswith("#"):
        return None, EXCEL_ERROR
    if _DECIMAL.fullmatch(text) is None:
        return None, TEXT
    return float(text.replace(",", ".")), FROM_TEXT
