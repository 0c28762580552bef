"""Decimal ages in years, from the day of birth where a sheet's dates agree with its ages.

The model's age is that on 30 June of the reference year; without the day of birth it is estimated
from year, birth year and the sheet's age. Ideal phases were set by the age at the end of 2023 and
by that at about 30 June 2024, so the half-year of birth decides about a phase.
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
"""Least share of ages that the days of birth must explain; random days explain 80 %."""
_TEXT = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-]\d{4}")
_ISO = re.compile(r"\d{4}-(\d{1,2})-(\d{1,2})")


def days_of_birth(cells: Sequence[Any]) -> np.ndarray:
    """Return each child's birthday as a share of the year in (0, 1), (n,); NaN if unknown.

    A number above 12 among the texts shows whether the month or the day comes first; texts are not
    read if none or both do. If all texts have a day above 12 and all real dates a day up to 12, a
    program that expects the day first has misread dates written month first: they are swapped back.
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
    """Return whether days of birth explain which children are younger than year minus birth year.

    `years_below` is year − birth year − age as the sheet states it, (n,): 1 before the birthday.
    Some day of the year must separate those from the others; for altered dates, none does.
    """
    known = np.isfinite(born) & np.isin(years_below, (0.0, 1.0))
    if not known.any():
        return False
    order = np.argsort(born[known], kind="stable")
    younger = years_below[known][order]
    # Correct at each cut: older ones born before the day, and younger ones born after it.
    right = np.append(0, np.cumsum(1 - younger)) + younger.sum() - np.append(0, np.cumsum(younger))
    return bool(right.max() / known.sum() >= MIN_AGREEMENT)


def decimal_ages(frame: pd.DataFrame, born: pd.Series) -> pd.Series:
    """Return ages on 30 June, for a frame with `ano`, `ano_nascimento` and the sheet's `idade`.

    Without the day of birth: half a year less if the sheet's age shows that the birthday was still
    to come, hence late in the year. Without the birth year: the age as the sheet states it.
    """
    whole = frame["ano"] - frame["ano_nascimento"]
    late = (whole - frame["idade"]) == 1
    return (whole + MIDDLE - born).fillna(whole - MIDDLE * late).fillna(frame["idade"])
