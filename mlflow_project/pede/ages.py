"""Ages as years with decimals, from the day of birth where a sheet's dates can be believed.

The model's age is that on 30 June of the reference year: a whole number, year minus birth year,
where the day is not known. Ideal phases went by the age at the end of 2023 and by that about 30
June 2024, so which half of the year a child was born in decides about a phase.
"""

import re
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

MIDDLE = 0.5
"""30 June as a share of the year."""
MIN_AGREEMENT = 0.9
"""Share of the ages that days of birth must explain; days that chance drew explain 80 %."""
_TEXT = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-]\d{4}")
_ISO = re.compile(r"\d{4}-(\d{1,2})-(\d{1,2})")


def days_of_birth(cells: Sequence[Any]) -> np.ndarray:
    """Return when in the year each child was born, as a share of the year in (0, 1); NaN unknown.

    Texts are month first or day first, as a number above 12 among them shows; if none does they
    are not read. Where all texts have a day above 12 and all real dates one up to 12, a program
    that expects the day first has read dates written month first: they are turned back.
    """
    texts = [_TEXT.match(cell.strip()) if isinstance(cell, str) else None for cell in cells]
    pairs = [(int(text[1]), int(text[2])) for text in texts if text]
    month_first = any(second > 12 for _, second in pairs)
    known_order = month_first != any(first > 12 for first, _ in pairs)
    dates = [cell for cell in cells if isinstance(cell, date)]
    exchanged = (
        month_first
        and known_order
        and all(second > 12 for _, second in pairs)
        and all(day.day <= 12 for day in dates)
    )
    born = np.full(len(cells), np.nan)
    for row, (cell, text) in enumerate(zip(cells, texts, strict=True)):
        iso = _ISO.match(cell.strip()) if isinstance(cell, str) else None
        if isinstance(cell, date):
            month, day = (cell.day, cell.month) if exchanged else (cell.month, cell.day)
        elif iso:
            month, day = int(iso[1]), int(iso[2])
        elif text and known_order:
            first, second = int(text[1]), int(text[2])
            month, day = (first, second) if month_first else (second, first)
        else:
            continue
        if 1 <= month <= 12 and 1 <= day <= 31:
            born[row] = (month - 1 + (day - 0.5) / 31) / 12
    return born


def explain_ages(born: np.ndarray, years_below: np.ndarray) -> bool:
    """Tell whether days of birth explain which children are younger than year minus birth year.

    `years_below` is year − birth year − age as the sheet states it, (n,): 1 before the birthday.
    Some day of the year must part those from the others; where dates were altered, none does.
    """
    known = np.isfinite(born) & np.isin(years_below, (0.0, 1.0))
    if not known.any():
        return False
    order = np.argsort(born[known], kind="stable")
    younger = years_below[known][order]
    # Right are the older ones born before the day, and the younger ones born after it.
    right = np.append(0, np.cumsum(1 - younger)) + younger.sum() - np.append(0, np.cumsum(younger))
    return bool(right.max() / known.sum() >= MIN_AGREEMENT)


def decimal_ages(frame: pd.DataFrame, born: pd.Series) -> pd.Series:
    """Return ages on 30 June, for a frame with `ano`, `ano_nascimento` and the sheet's `idade`.

    Without the day: half a year less for a child whose birthday the sheet's age says was still to
    come, since that was late in the year. Without the birth year: the age as the sheet states it.
    """
    whole = frame["ano"] - frame["ano_nascimento"]
    late = (whole - frame["idade"]) == 1
    return (whole + MIDDLE - born).fillna(whole - MIDDLE * late).fillna(frame["idade"])
