"""Columns of a captured row: the store's own, and the column names of features."""

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

LEADING_COLUMNS: Mapping[str, str] = {
    "request_id": "string",
    "instance": "long",
    "timestamp": "timestamp",
    "model_name": "string",
    "model_version": "string",
    "registry_version": "long",
    "role": "string",
    "entity": "string",
    "period": "long",
}
"""Columns before the features. `instance` counts from 0 within the request; `timestamp` is UTC in
microseconds since 1970; `model_version` is the release; `entity` is a pseudonym or null; `period`
is the year that the row describes, null where it was not stated and in files of older releases."""

TRAILING_COLUMNS: Mapping[str, str] = {
    "score": "double",
    "label": "long",
    "threshold": "double",
    "scored_ms": "double",
}
"""Columns after the features. `scored_ms` is the time from the request's headers to its score, in
milliseconds; `latency_ms` in the log extends to the last byte of the response."""

MAX_KEPT_CLASSES = 50
"""Largest number of classes for which capture keeps the probability of each."""

RESERVED_COLUMNS = frozenset((*LEADING_COLUMNS, *TRAILING_COLUMNS, "latency_ms"))
"""Names of the store's own columns; `latency_ms` is `scored_ms` in files of older releases. A
feature with such a name is stored under an escaped one."""

_PLAIN = re.compile(r"[^\W\d][^\x00-\x1f\x7f]{0,199}")
_ESCAPE = "@feature_"


def column_of(feature: str) -> str:
    """Return the column that stores a feature: its own name where that is valid.

    Valid names have 1 to 200 characters, the first a letter or `_`, and are none of the store's own
    columns; any other is escaped into ASCII, with a prefix that no valid name has. Injective:
    `feature_of` is the inverse.
    """
    if _PLAIN.fullmatch(feature) and feature not in RESERVED_COLUMNS:
        return feature
    return _ESCAPE + quote(feature, safe="")


def feature_of(column: str) -> str:
    """Return the name of the feature that a column stores."""
    return unquote(column[len(_ESCAPE) :]) if column.startswith(_ESCAPE) else column


def probability_columns(classes: int) -> dict[str, str]:
    """Return the columns that store the probability of each class, with their types.

    They follow the features of a version that predicts one of several classes; no feature's column
    can have their prefix. Empty for two classes, where the score suffices, and for more than
    `MAX_KEPT_CLASSES`. Null in files of older releases.
    """
    if not 2 < classes <= MAX_KEPT_CLASSES:
        return {}
    return {f"@probability_{place}": "double" for place in range(classes)}
