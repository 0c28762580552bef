"""The bodies that MLflow's scoring server takes, as instances: one mapping per row.

JSON with one of `dataframe_split`, `dataframe_records`, `instances`, `inputs`, and CSV. The token
NaN, which MLflow's own client writes, is null. Unlike MLflow's server this one answers no value
back.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from core.contract.model import Feature
from core.contract.numbers import NULLS
from core.contract.types import FeatureType
from core.messages import _
from serving.errors import InvalidInstances, UnsupportedMediaType
from serving.protocol.validation import YEAR, decode

FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")
CSV, JSON = "text/csv", "application/json"
# pandas writes whole numbers beside nulls as 33.0; a long takes that, and no other fraction.
_WHOLE = re.compile(r"\s*[+-]?[0-9]+\s*")
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


def read_instances(
    body: bytes, content_type: str, features: Sequence[Feature]
) -> list[Mapping[str, Any]]:
    """Return the rows of a body; their names and values are still unchecked.

    Raises:
        UnsupportedMediaType: it is neither JSON nor CSV in UTF-8.
        MalformedBody: it is not JSON.
        InvalidInstances: it has none of the formats.
    """
    kind = _kind(content_type)
    if kind == CSV:
        return _from_csv(body, features)
    return [_without_nan(row) for row in _from_json(decode(body), features)]


def _without_nan(row: Any) -> Any:
    return {k: None if v != v else v for k, v in row.items()} if isinstance(row, dict) else row


def _kind(content_type: str) -> str:
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    if kind not in (CSV, JSON) or any(p != "charset=utf-8" for p in parameters if p):
        raise UnsupportedMediaType(accepted=_("{one} or {other}", one=JSON, other=CSV))
    return kind


def _from_json(document: Any, features: Sequence[Feature]) -> list[Mapping[str, Any]]:
    allowed = _("an object with exactly one of: {formats}", formats=", ".join(FORMATS))
    if not isinstance(document, dict):
        raise _refusal(_("the body is not an object"), allowed)
    # MLflow's clients send `params`; no scikit-learn model takes any.
    given = [key for key, value in document.items() if not (key == "params" and not value)]
    if len(given) != 1 or given[0] not in FORMATS:
        raise _refusal(_("unknown or repeated format"), allowed)
    data = document[given[0]]
    if given[0] == "dataframe_split":
        return _split(data)
    if given[0] == "dataframe_records":
        if not isinstance(data, list):
            raise _refusal(_("dataframe_records is not a list"), _("a list of objects"))
        return data
    return _tensor_like(data, given[0], [feature.name for feature in features])


def _split(data: Any) -> list[Mapping[str, Any]]:
    allowed = _('{shape}, with "index" or without', shape='{"columns": [...], "data": [[...]]}')
    if not isinstance(data, dict) or not {"columns", "data"} <= set(data) <= _SPLIT_KEYS:
        raise _refusal(_("dataframe_split does not have the expected shape"), allowed)
    columns, rows = data["columns"], data["data"]
    # The index names rows; no model reads it, so it is only looked at for its shape.
    if not all(isinstance(part, list) for part in (columns, rows, data.get("index", []))):
        raise _refusal(_("dataframe_split does not have the expected shape"), allowed)
    return _named(columns, rows)


_SPLIT_KEYS = {"columns", "data", "index"}


def _tensor_like(data: Any, name: str, columns: Sequence[str]) -> list[Mapping[str, Any]]:
    """Read rows as mappings, rows as lists in the signature's order, columns, or one row."""
    if isinstance(data, dict):
        if not any(isinstance(value, list) for value in data.values()):
            return [data]
        lengths = {len(v) if isinstance(v, list) else -1 for v in data.values()}
        if len(lengths) != 1 or -1 in lengths:
            problem = _("the columns of {name} differ in length", name=name)
            raise _refusal(problem, _("the same in all"))
        return _named(list(data), list(zip(*data.values(), strict=True)))
    if isinstance(data, list) and data and all(isinstance(row, list) for row in data):
        return _named(columns, data)
    if isinstance(data, list):
        return data
    raise _refusal(_("{name} is neither list nor object", name=name), _("rows or columns"))


def _named(columns: Sequence[Any], rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    if not all(isinstance(column, str) for column in columns):
        raise _refusal(_("some column names are not text"), _("text"))
    if len(set(columns)) != len(columns):
        raise _refusal(_("some columns are repeated"), _("each column once"))
    for number, row in enumerate(rows):
        if not isinstance(row, list | tuple) or len(row) != len(columns):
            problem = _("the row does not have one value per column")
            raise _refusal(problem, _("{count} values", count=len(columns)), number)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _from_csv(body: bytes, features: Sequence[Feature]) -> list[Mapping[str, Any]]:
    try:
        lines = [row for row in csv.reader(io.StringIO(body.decode("utf-8-sig"), "")) if row]
    except (UnicodeDecodeError, csv.Error):
        raise _refusal(_("the body is not CSV in UTF-8"), _("CSV with a header")) from None
    if not lines:
        raise _refusal(_("the body has no header"), _("CSV with a header"))
    header, rows = lines[0], lines[1:]
    # `DataFrame.to_csv` writes the index as a first column without a name, which MLflow drops too.
    start = 1 if header[0] == "" else 0
    named = _named(header[start:], [row[start:] for row in rows])
    types = types_of(header, features)
    return [{name: cell_value(types.get(name), text) for name, text in r.items()} for r in named]


def types_of(columns: Sequence[str], features: Sequence[Feature]) -> dict[str, FeatureType]:
    """Return the type of each column that is a feature, with a year at its end or without."""
    types = {feature.name: feature.type for feature in features}
    bare = {column: column if column in types else YEAR.sub("", column) for column in columns}
    return {column: types[name] for column, name in bare.items() if name in types}


def cell_value(kind: str | None, text: str) -> Any:
    """Return a cell as its feature's type; one that is not of it stays text and is refused."""
    if text in NULLS:
        return None
    if kind == "boolean":
        return _BOOLEANS.get(text.lower(), text)
    if kind in ("double", "long"):
        try:
            return int(text) if kind == "long" and _WHOLE.fullmatch(text) else float(text)
        except ValueError:
            return text
    return text


def _refusal(problem: str, allowed: str, instance: int | None = None) -> InvalidInstances:
    detail = {"instance": instance, "field": None, "problem": problem, "allowed": allowed}
    return InvalidInstances([detail], 1)
