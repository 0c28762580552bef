"""How the page writes numbers, times and statuses: in Portuguese, in the reader's zone. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta

WORDS: Mapping[str, str] = {
    "GREEN": "Verde",
    "YELLOW": "Amarelo",
    "RED": "Vermelho",
    "OK": "Mantido",
    "DEGRADED": "Pior",
    "NO_DATA": "Sem dados",
}
"""Verdicts of the reports, as people read them."""

COLORS: Mapping[str, str] = {
    "GREEN": "green",
    "OK": "green",
    "YELLOW": "yellow",
    "RED": "red",
    "DEGRADED": "red",
}


def word(status: str | None) -> str:
    """Return a verdict in words; one that is not known is shown as it is."""
    return WORDS.get(status or "", status or "–")


def color(status: str | None) -> str:
    """Return a verdict's color; grey where there is none."""
    return COLORS.get(status or "", "none")


def number(value: float | None, digits: int = 0) -> str:
    """Return a number as Portuguese writes it, for example 1.234,5."""
    if value is None:
        return "–"
    text = f"{value:,.{digits}f}"
    text = text.removeprefix("-") if not text.strip("-0.,") else text
    return text.translate(str.maketrans(",.", ".,"))


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share as a percentage; never 100 % of what is not all, nor 0 % of what is some."""
    if share is None:
        return "–"
    value = 100 * share
    least = 10**-digits
    if 0 < value < least:
        return f"menos de {number(least, digits)} %"
    if 100 - least < value < 100:
        return f"mais de {number(100 - least, digits)} %"
    return f"{number(value, 0 if value in (0, 100) else digits)} %"


def milliseconds(seconds: float | None) -> str:
    """Return a latency in milliseconds."""
    if seconds is None:
        return "–"
    value = 1000 * seconds
    return f"{number(value, 1 if value < 10 else 0)} ms"


def counted(count: float, one: str, many: str) -> str:
    """Return a count with its noun."""
    return f"{number(count)} {one if count == 1 else many}"


def joined(words: list[str]) -> str:
    """Return a list as a sentence has it: `a, b e c`."""
    *first, last = words
    return f"{', '.join(first)} e {last}" if first else last


def moment(value: datetime | None) -> str:
    """Return a time in the machine's zone."""
    return "–" if value is None else value.astimezone().strftime("%d/%m/%Y %H:%M")


def duration(span: timedelta) -> str:
    """Return a span of time by its largest unit, rounded down."""
    seconds = max(0, int(span.total_seconds()))
    for size, one, many in (
        (86_400, "dia", "dias"),
        (3600, "hora", "horas"),
        (60, "minuto", "minutos"),
    ):
        if seconds >= size:
            return counted(seconds // size, one, many)
    return counted(seconds, "segundo", "segundos")
