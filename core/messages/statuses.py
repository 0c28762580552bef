"""Drift and performance statuses: their labels and colours, the same on every page."""

from collections.abc import Mapping

from core.messages import N_, _

_SHOWN: Mapping[str, tuple[str, str]] = {
    "GREEN": (N_("Green"), "green"),
    "YELLOW": (N_("Yellow"), "yellow"),
    "RED": (N_("Red"), "red"),
    "OK": (N_("Performance kept"), "green"),
    "DEGRADED": (N_("Performance worse"), "red"),
    "INCONCLUSIVE": (N_("Inconclusive"), "none"),
    "NO_DATA": (N_("No data"), "none"),
}


def word(status: str | None) -> str:
    """Return a status's label; an unknown status is returned unchanged."""
    return _(_SHOWN.get(status or "", (status or "", ""))[0]) or "–"


def color(status: str | None) -> str:
    """Return a status's colour: green, yellow, red, or none for grey."""
    return _SHOWN.get(status or "", ("", "none"))[1]
