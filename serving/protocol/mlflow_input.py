"""Request bodies of MLflow's scoring server as instances: one mapping per row.

JSON with one of `dataframe_split`, `dataframe_records`, `instances`, `inputs`, CSV and Parquet. The
token NaN, which MLflow's own client writes, is null. Unlike MLflow's server, this one repeats no
value in a response. docs/serving.md has a table of the responses of both servers.
"""

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.contract.model import Feature
from core.messages import _
from serving.errors import UnsupportedMediaType
from serving.protocol.csv_input import from_csv
from serving.protocol.frames import Rows, by_place, named, refusal
from serving.protocol.parquet_input import from_parquet
from serving.protocol.validation import decode

FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")
CSV, JSON, PARQUET = "text/csv", "application/json", "application/vnd.apache.parquet"


@dataclass(frozen=True, slots=True)
class Sent:
    """A parsed request: rows with unchecked names and values, parameters, other keys."""

    instances: Sequence[Mapping[str, Any]]
    params: Any = None
    others: Sequence[str] = ()


def read_sent(
    body: bytes,
    content_type: str,
    features: Sequence[Feature],
    most_rows: int,
    most_bytes: int,
    *,
    matrix: bool = False,
    known_only: bool = False,
) -> Sent:
    """Parse a body.

    With `matrix` the model takes a matrix, whose columns have no names of their own; with
    `known_only` columns that are no features may be skipped. Both limits apply to Parquet only,
    `most_bytes` to its decompressed size; the validation counts the rows of other formats.

    Raises:
        UnsupportedMediaType: it is neither JSON nor CSV in UTF-8, nor Parquet.
        MalformedBody: it is not JSON.
        DuplicateKey: an object of it has a key twice.
        InvalidInstances: it is in none of the formats.
        BodyTooLarge: a Parquet body decompresses to more than `most_bytes`.
    """
    kind = _kind(content_type)
    names = [feature.name for feature in features]
    if kind == JSON:
        sent = _from_json(decode(body.removeprefix(codecs.BOM_UTF8)), names, matrix)
    else:
        known = set(names) if known_only and not matrix else None
        csv = kind == CSV
        rows = from_csv(body, features) if csv else from_parquet(body, known, most_rows, most_bytes)
        sent = Sent(by_place(rows, names) if matrix else rows)
    return replace(sent, instances=[_without_nan(row) for row in sent.instances])


def is_json(content_type: str) -> bool:
    """Return whether a body is JSON, with or without the charset UTF-8 stated.

    Raises:
        UnsupportedMediaType: it is in no supported type or charset.
    """
    return _kind(content_type) == JSON


def _without_nan(row: Any) -> Any:
    return {k: None if v != v else v for k, v in row.items()} if isinstance(row, dict) else row


def _kind(content_type: str) -> str:
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    if kind not in (CSV, JSON, PARQUET) or any(p != "charset=utf-8" for p in parameters if p):
        accepted = _("{one} or {other}", one=", ".join((JSON, CSV)), other=PARQUET)
        raise UnsupportedMediaType(accepted=accepted)
    return kind


def _from_json(document: Any, names: Sequence[str], matrix: bool) -> Sent:
    allowed = _("an object with exactly one of: {formats}", formats=", ".join(FORMATS))
    if not isinstance(document, dict):
        raise refusal(_("the body is not an object"), allowed)
    given = [key for key in document if key in FORMATS]
    if len(given) != 1:
        raise refusal(_("unknown or repeated format"), allowed)
    rows = _rows(given[0], document[given[0]], names, matrix)
    others = [key for key in document if key not in (*FORMATS, "params")]
    return Sent(rows, document.get("params"), others)


def _rows(form: str, data: Any, names: Sequence[str], matrix: bool) -> Rows:
    if form == "dataframe_split":
        rows = _split(data, names if matrix else None)
    elif form == "dataframe_records":
        if not isinstance(data, list):
            raise refusal(_("dataframe_records is not a list"), _("a list of objects"))
        rows = data
    else:
        return _tensor_like(data, form, names)
    return by_place(rows, names) if matrix else rows


def _split(data: Any, names: Sequence[str] | None) -> Rows:
    """Return the rows of a split frame; the columns of a matrix need no names."""
    allowed = _('{shape}, with "index" or without', shape='{"columns": [...], "data": [[...]]}')
    needed = {"columns", "data"} if names is None else {"data"}
    if not isinstance(data, dict) or not needed <= set(data) <= _SPLIT_KEYS:
        raise refusal(_("dataframe_split does not have the expected shape"), allowed)
    columns, rows = data.get("columns", names or ()), data["data"]
    # The index names rows; no model reads it, so only its shape is checked.
    index: Any = data.get("index", rows)
    if not all(isinstance(part, list | tuple) for part in (columns, rows, index)):
        raise refusal(_("dataframe_split does not have the expected shape"), allowed)
    if len(index) != len(rows):
        raise refusal(_("index and data differ in length"), _("the same in all"))
    return named(columns, rows)


_SPLIT_KEYS = {"columns", "data", "index"}


def _tensor_like(data: Any, form: str, names: Sequence[str]) -> Rows:
    """Parse rows as mappings, rows as lists in the signature's order, columns, or one row."""
    if isinstance(data, dict):
        if not any(isinstance(value, list) for value in data.values()):
            return [data]
        lengths = {len(v) if isinstance(v, list) else -1 for v in data.values()}
        if len(lengths) != 1 or -1 in lengths:
            problem = _("the columns of {name} differ in length", name=form)
            raise refusal(problem, _("the same in all"))
        return named(list(data), list(zip(*data.values(), strict=True)))
    if isinstance(data, list) and data and all(isinstance(row, list) for row in data):
        return named(names, data)
    if isinstance(data, list):
        return data
    raise refusal(_("{name} is neither list nor object", name=form), _("rows or columns"))
