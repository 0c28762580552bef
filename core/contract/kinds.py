"""Validation of value types in a stated contract, since third-party metadata is not trusted.

Each table maps a field to the kind of its value, with `?` where it may be null. A number is finite
as a double and not a boolean, although `bool` is a subclass of `int` in Python.
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
"""For each kind, its name in messages, and the predicate for its values."""


def wrong_kind(data: Mapping[str, Any], kinds: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the first field whose value has the wrong kind, and the required kind as text."""
    for name, value in data.items():
        kind = kinds.get(name)
        if kind is None or (kind.endswith("?") and value is None):
            continue
        words, fits = _KINDS[kind.rstrip("?")]
        if not fits(value):
            return name, _(words)
    return None
