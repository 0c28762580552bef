"""Values that a feature accepts: their description, and the check of a value."""

import math
from datetime import UTC, date, datetime, time
from typing import Any

from core.contract.model import Feature
from core.contract.types import LONG_RANGE
from core.messages import N_, _

YEARS = range(1900, 3000)
"""Years that a period may have."""
_MOMENTS = range(1678, 2262)
"""Years that fit NumPy's 64-bit count of nanoseconds since 1970."""


def allowed(feature: Feature) -> str:
    """Return a description of the values that a feature accepts."""
    text = _(_KINDS[feature.type])
    if feature.values:
        text = _("one of: {values}", values=", ".join(feature.values))
    low, high = feature.min, feature.max
    if low is not None and high is not None:
        text = _("{kind} between {low} and {high}", kind=text, low=float(low), high=float(high))
    elif low is not None:
        text = _("{kind} from {low} on", kind=text, low=float(low))
    elif high is not None:
        text = _("{kind} up to {high}", kind=text, high=float(high))
    if feature.unit:
        text += f" ({feature.unit})"
    return _("{value}, or null", value=text) if feature.nullable else text


_KINDS = {
    "double": N_("number"),
    "long": N_("whole number"),
    "boolean": N_("true or false"),
    "string": N_("text"),
    "datetime": N_("date, or date and time, in ISO 8601"),
}


def checked(feature: Feature, value: Any) -> tuple[Any, str | None]:
    """Return the value as the feature's Python type, or None and the problem."""
    if feature.type == "boolean":
        return (value, None) if isinstance(value, bool) else (None, _("wrong type"))
    if feature.type == "string":
        if not is_text(value):
            return None, _("wrong type")
        known = not feature.values or value in feature.values
        return (value, None) if known else (None, _("unknown category"))
    if feature.type == "datetime":
        moment = moment_of(value)
        return (moment, None) if moment else (None, _("is no date and time"))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None, _("wrong type")
    return _number(feature, value)


def _number(feature: Feature, value: float) -> tuple[float | None, str | None]:
    if isinstance(value, float) and not math.isfinite(value):
        return None, _("is not a finite number")
    if feature.type == "long" and value != int(value):
        return None, _("is not a whole number")
    try:
        number = int(value) if feature.type == "long" else float(value)
    except OverflowError:
        return None, _("out of range")
    if feature.type == "long" and number not in LONG_RANGE:
        return None, _("out of range")
    low = -math.inf if feature.min is None else feature.min
    high = math.inf if feature.max is None else feature.max
    return (number, None) if low <= number <= high else (None, _("out of range"))


def moment_of(value: Any) -> datetime | None:
    """Return a date and time without its zone, in UTC where it has one; None if it is invalid."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else value
        if not isinstance(found, date):
            return None
        # A pandas Timestamp is a subclass of datetime: convert it to a plain one.
        clock = found.timetz() if isinstance(found, datetime) else time()
        day = found.date() if isinstance(found, datetime) else found
        found = datetime.combine(day, clock)
        if found.tzinfo is not None:
            found = found.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None
    return found if found.year in _MOMENTS else None


def year_of(value: Any) -> int | None:
    """Return a period's year as an integer, also from text; None if it is no year."""
    text = str(int(value) if isinstance(value, float) and value.is_integer() else value).strip()
    year = int(text) if text.isascii() and text.isdigit() and len(text) == 4 else 0
    return year if year in YEARS and not isinstance(value, bool) else None


def is_text(value: Any) -> bool:
    """Return whether a value is text that UTF-8 can encode (JSON may escape a lone surrogate)."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_integer(value: Any) -> bool:
    """Return whether a value is an integer, which a boolean is not."""
    return isinstance(value, int) and not isinstance(value, bool)
