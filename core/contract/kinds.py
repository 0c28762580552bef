"""Kinds of the values of a stated contract: metadata of anybody's training code may hold anything.

Each table maps a field to what it may hold, `?` where it may be null. A number is finite and no
boolean, though Python counts a boolean among the integers.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from core.messages import N_

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


WORDS: Mapping[str, str] = {
    "text": N_("text"),
    "name": N_("a name"),
    "texts": N_("a list of texts"),
    "list": N_("a list"),
    "mapping": N_("an object"),
    "boolean": N_("true or false"),
    "number": N_("a finite number"),
    "count": N_("a whole number of zero or more"),
}
"""What each kind is called to people."""


def wrong_kind(data: Mapping[str, Any], kinds: Mapping[str, str]) -> str | None:
    """Return the name of the first field that holds another kind than it may; None if all fit."""
    for name, value in data.items():
        kind = kinds.get(name)
        optional = kind is not None and kind.endswith("?")
        if kind is None or (optional and value is None):
            continue
        if not _FITS[kind.rstrip("?")](value):
            return name
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


_FITS: Mapping[str, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str),
    "name": lambda value: isinstance(value, str) and bool(value.strip()),
    "texts": lambda value: _is_list(value) and all(isinstance(item, str) for item in value),
    "list": _is_list,
    "mapping": lambda value: isinstance(value, Mapping),
    "boolean": lambda value: isinstance(value, bool),
    "number": _is_number,
    "count": _is_count,
}
