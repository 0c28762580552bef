"""Verdicts of drift and of performance: their words and colours, the same on every page."""

from collections.abc import Mapping

from core.messages import N_, _

WORDS: Mapping[str, str] = {
    "GREEN": N_("Green"),
    "YELLOW": N_("Yellow"),
    "RED": N_("Red"),
    "OK": N_("Performance kept"),
    "DEGRADED": N_("Performance worse"),
    "INCONCLUSIVE": N_("Inconclusive"),
    "NO_DATA": N_("No data"),
}

COLORS: Mapping[str, str] = {
    "GREEN": "green",
    "OK": "green",
    "YELLOW": "yellow",
    "RED": "red",
    "DEGRADED": "red",
}
"""Colour of a verdict; whatever is not named here is grey."""


def word(status: str | None) -> str:
    """Return a verdict in words; one that is not known is shown as it is."""
    return _(WORDS.get(status or "", status or "")) or "–"


def color(status: str | None) -> str:
    """Return a verdict's colour: green, yellow, red, or none for grey."""
    return COLORS.get(status or "", "none")
