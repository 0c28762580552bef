"""Columns of a captured row: its own, and what a feature's column is called beside them."""

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
is the year that the row is about, null where nobody said it and in files written before it was."""

TRAILING_COLUMNS: Mapping[str, str] = {
    "score": "double",
    "label": "long",
    "threshold": "double",
    "scored_ms": "double",
}
"""Columns after the features. `scored_ms` is the time from the request's headers until it was
scored, in milliseconds; what the log calls `latency_ms` goes on until the answer's last byte."""

MAX_KEPT_CLASSES = 50
"""Classes up to which capture keeps the probability of each."""

RESERVED_COLUMNS = frozenset((*LEADING_COLUMNS, *TRAILING_COLUMNS, "latency_ms"))
"""Names of the store's own columns, `latency_ms` (now `scored_ms`) in files of older releases: a
feature of such a name is stored under another."""

_PLAIN = re.compile(r"[^\W\d][^\x00-\x1f\x7f]{0,199}")
_ESCAPE = "@feature_"


def column_of(feature: str) -> str:
    """Return the column that keeps a feature: its own name where that can be one.

    That is 1 to 200 characters, the first a letter or `_`, and none of the store's own columns; any
    other name is escaped into ASCII, which no plain name begins like. Injective: `feature_of` tells
    the name again.
    """
    if _PLAIN.fullmatch(feature) and feature not in RESERVED_COLUMNS:
        return feature
    return _ESCAPE + quote(feature, safe="")


def feature_of(column: str) -> str:
    """Return the name of the feature that a column keeps."""
    return unquote(column[len(_ESCAPE) :]) if column.startswith(_ESCAPE) else column


def probability_columns(classes: int) -> dict[str, str]:
    """Return the columns that keep the probability of each class, with their types.

    They follow the features of a version that foretells one of several classes; no feature's column
    can begin like theirs. Of two classes the score says it all, and of more than
    `MAX_KEPT_CLASSES` none is kept: both have no such column. Null in files written before them.
    """
    if not 2 < classes <= MAX_KEPT_CLASSES:
        return {}
    return {f"@probability_{place}": "double" for place in range(classes)}
