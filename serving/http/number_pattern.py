"""Regular expressions of the numbers between two limits, for formats that have no `minimum`."""

import math
import re

_ANY = "[0-9]{1,9}"
_FRACTION = "(\\.[0-9]{1,6})?"


def number_pattern(low: float | None, high: float | None, *, whole: bool) -> str:
    """Return an expression whose every match is a plain decimal number in [low, high].

    Not every such number matches: no exponent, no more than nine and six digits. Without limits,
    any sign.
    """
    if low is None and high is None:
        return f"-?{_ANY}" + ("" if whole else _FRACTION)
    first = -(10**9) + 1 if low is None else math.ceil(low)
    last = 10**9 - 1 if high is None else math.floor(high)
    if first > last:
        return "|".join(re.escape(repr(limit)) for limit in (low, high) if limit is not None)
    parts = []
    if last >= 0:
        parts += _upward(max(first, 0), last, whole)
    if first < 0:
        parts += [f"-({part})" for part in _upward(max(-last, 1), -first, whole)]
    return "|".join(parts)


def _upward(first: int, last: int, whole: bool) -> list[str]:
    """Return expressions of the numbers from `first` to `last`, neither negative."""
    if whole or first == last:
        return integers(first, last)
    below = "|".join(integers(first, last - 1))
    return [f"({below}){_FRACTION}", str(last)]


def integers(first: int, last: int) -> list[str]:
    """Return expressions that together match the integers from `first` to `last`, not negative.

    Each covers a run of numbers that differ in their last digits only.
    """
    found = []
    while first <= last:
        width = len(str(first))
        size = 1
        # The widest run of tens, hundreds, ... that starts here and ends in time.
        while first % (10 * size) == 0 and first + 10 * size - 1 <= last and first:
            size *= 10
        digit = first // size % 10
        top = min(9, digit + (last - first + 1) // size - 1)
        stem, zeros = str(first)[: width - len(str(size))], len(str(size)) - 1
        ten = f"[{digit}-{top}]" if top > digit else str(digit)
        found.append(stem + ten + (f"[0-9]{{{zeros}}}" if zeros else ""))
        first += (top - digit + 1) * size
    return found
