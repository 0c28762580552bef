"""The one reader of numbers that people or other programs wrote as text: tags, settings, options.

Python's own `float` takes `0_0`, Arabic digits, `nan`, and makes 0 of `1e-400`. Here a number is
digits, at most one decimal point or comma, and an exponent at most; a comma is what Portuguese
writes, so whoever types `0,35` gets 0.35. There is no thousands separator.
"""

import math
import re

from core.errors import ProjectError
from core.messages import N_

_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_LONGEST = 40

NULLS = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "None"})
"""Cells of a table that say that there is no value."""


class NumberError(ProjectError, ValueError):
    """A text that is no number, or not one that is wanted; the text is named."""

    code = "not_a_number"
    message = N_("{text!r} is not a number")


def read_number(text: str) -> float:
    """Return the finite number that a text writes.

    Raises:
        NumberError: it writes none, or one that no double holds.
    """
    given = text.strip()
    if len(given) > _LONGEST or not _NUMBER.fullmatch(given):
        raise NumberError(text=text)
    number = float(given.replace(",", "."))
    mantissa = re.split("[eE]", given)[0]
    if not math.isfinite(number) or (number == 0.0 and re.search("[1-9]", mantissa)):
        raise NumberError(text=text)
    return number


def read_share(text: str) -> float:
    """Return the number between 0 and 1, inclusive, that a text writes: a threshold, for example.

    Raises:
        NumberError: it writes none.
    """
    number = read_number(text)
    if not 0.0 <= number <= 1.0:
        raise NumberError(N_("{text!r} is not a number between 0 and 1"), text=text)
    return number
