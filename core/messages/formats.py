"""Localized formats of numbers, shares, times and lists: one rule each.

Babel formats numbers, dates and lists; the rule added here is that a share is never rounded to
0 % or 100 %.
"""

from collections.abc import Sequence
from datetime import date as calendar_date
from datetime import datetime, timedelta

from babel import dates, lists, numbers

from core.messages import _, language, ngettext

NONE = "–"
"""Placeholder for a missing value."""


def number(value: float | None, digits: int = 0) -> str:
    """Return a number with `digits` decimals, for example `1.234,5`; a dash for None."""
    if value is None:
        return NONE
    pattern = "#,##0" + ("." + "0" * digits if digits else "")
    # Adding 0.0 removes the sign of a value that rounds to -0.0.
    return numbers.format_decimal(round(value, digits) + 0.0, pattern, language())


def signed(value: float | None, digits: int = 0) -> str:
    """Return a difference with its sign, for example `+0,013`; a dash for None."""
    sign = "+" if value is not None and round(value, digits) + 0.0 >= 0 else ""
    return sign + number(value, digits)


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share as a percentage; 0 % and 100 % only for shares of exactly 0 and 1."""
    if share is None:
        return NONE
    value = 100 * share
    least = 10**-digits
    if 0 < value < least:
        return _("less than {number} %", number=number(least, digits))
    if 100 - least < value < 100:
        return _("more than {number} %", number=number(100 - least, digits))
    return f"{number(value, 0 if value in (0, 100) else digits)} %"


def milliseconds(seconds: float | None) -> str:
    """Return a time in milliseconds."""
    if seconds is None:
        return NONE
    value = 1000 * seconds
    return f"{number(value, 1 if value < 10 else 0)} ms"


def joined(words: Sequence[str]) -> str:
    """Return a list as prose, for example `a, b e c`."""
    return lists.format_list(list(words), "standard", language()) if words else NONE


def moment(value: datetime | str | None) -> str:
    """Return a date and time in the machine's time zone, with its UTC offset."""
    if value is None:
        return NONE
    local = _local(value)
    zone = "'UTC'xxx" if local.utcoffset() else "'UTC'"
    pattern = ("yyyy-MM-dd HH:mm " if language() == "en" else "dd/MM/yyyy HH:mm ") + zone
    return dates.format_datetime(local, pattern, local.tzinfo, language())


def day(value: datetime | str | None) -> str:
    """Return a timestamp's date in the machine's time zone."""
    return NONE if value is None else date(_local(value).date())


def _local(value: datetime | str) -> datetime:
    return (datetime.fromisoformat(value) if isinstance(value, str) else value).astimezone()


def date(value: calendar_date) -> str:
    """Return a date."""
    pattern = "yyyy-MM-dd" if language() == "en" else "dd/MM/yyyy"
    return dates.format_date(value, pattern, language())


def duration(span: timedelta) -> str:
    """Return a span of time by its largest unit, rounded down."""
    seconds = max(0, int(span.total_seconds()))
    if seconds >= 86_400:
        return ngettext("{n} day", "{n} days", seconds // 86_400)
    if seconds >= 3600:
        return ngettext("{n} hour", "{n} hours", seconds // 3600)
    if seconds >= 60:
        return ngettext("{n} minute", "{n} minutes", seconds // 60)
    return ngettext("{n} second", "{n} seconds", seconds)
