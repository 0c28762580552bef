"""Kinds of the values of a stated contract: metadata of anybody's training code may hold anything.

Each table maps a field to what it may hold, `?` where it may be null. A number fits a double and is
no boolean, though Python counts a boolean among the integers.
"""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from core.messages import N_, _

FEATURE_KINDS: Mapping[str, str] = {
    "name": "text",
    "type": "text",
    "unit": "text",
    "min": "number?",
    "max": "number?",
    "nullable": "boolean",
    "description": "text",
    "values": "texts",
    "required": "boolean",
}

CONTRACT_KINDS: Mapping[str, str] = {
    "release": "text",
    "features": "list",
    "target": "text",
    "threshold": "number",
    "threshold_policy": "mapping",
    "score_name": "text",
    "label_name": "text",
    "positive_class": "count",
    "entity": "name?",
    "outputs": "texts",
    "output_kind": "text",
    "horizon": "count?",
    "period_field": "name?",
    "year_suffixes": "boolean",
    "entity_prefix": "name?",
}

EXAMPLE_KINDS: Mapping[str, str] = {"instance": "mapping", "score": "number"}


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) <= sys.float_info.max


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


_KINDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "text": (N_("text"), lambda value: isinstance(value, str)),
    "name": (N_("a name"), lambda value: isinstance(value, str) and bool(value.strip())),
    "texts": (N_("a list of texts"), _are_texts),
    "list": (N_("a list"), lambda value: isinstance(value, list | tuple)),
    "mapping": (N_("an object"), lambda value: isinstance(value, Mapping)),
    "boolean": (N_("true or false"), lambda value: isinstance(value, bool)),
    "number": (N_("a finite number"), _is_number),
    "count": (
        N_("a whole number of zero or more"),
        lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 0,
    ),
}
"""What each kind is called to people, and whether a value is of it."""


def wrong_kind(data: Mapping[str, Any], kinds: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the first field that holds another kind than it may, and what it must be in words."""
    for name, value in data.items():
        kind = kinds.get(name)
        if kind is None or (kind.endswith("?") and value is None):
            continue
        words, fits = _KINDS[kind.rstrip("?")]
        if not fits(value):
            return name, _(words)
    return None
