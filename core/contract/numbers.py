"""The only parser of numbers given as text: tags, settings, options.

Python's own `float` accepts `0_0`, Arabic digits and `nan`, and reads `1e-400` as 0. Here a number
is digits, with at most one decimal point or comma and an optional exponent; the comma is the
decimal mark in Portuguese, so `0,35` is read as 0.35. There is no thousands separator.
"""

import math
import re

from core.errors import ProjectError
from core.messages import N_

_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_LONGEST = 40

NULLS = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "None"})
"""Table cells that denote a missing value."""


class NumberError(ProjectError, ValueError):
    """A text that is not a number or is out of range; the message quotes the text."""

    code = "not_a_number"
    message = N_("{text!r} is not a number")


def read_number(text: str) -> float:
    """Parse a finite number.

    Raises:
        NumberError: the text is not a number, or one that a double cannot represent.
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
    """Parse a number in [0, 1], for example a threshold.

    Raises:
        NumberError: the text is not a number in [0, 1].
    """
    number = read_number(text)
    if not 0.0 <= number <= 1.0:
        raise NumberError(N_("{text!r} is not a number between 0 and 1"), text=text)
    return number
