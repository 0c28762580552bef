"""CSV as `DataFrame.to_csv` writes it: cells are parsed by the type of their feature."""

import csv
import io
import re
from collections.abc import Sequence
from typing import Any

from core.contract.model import Feature
from core.contract.numbers import NULLS
from core.contract.types import FeatureType
from core.messages import _
from serving.protocol.frames import Rows, named, refusal
from serving.protocol.validation import YEAR

# pandas writes whole numbers beside nulls as 33.0; a long accepts that, and no other fraction.
_WHOLE = re.compile(r"\s*[+-]?[0-9]+\s*")
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


def from_csv(body: bytes, features: Sequence[Feature]) -> Rows:
    """Return the rows of a CSV body, with a byte order mark or without.

    Raises:
        InvalidInstances: it is not CSV in UTF-8, has no header, or a row has another length.
    """
    try:
        text = io.StringIO(body.decode("utf-8-sig"), "")
        lines = [row for row in csv.reader(text, strict=True) if row]
    except (UnicodeDecodeError, csv.Error):
        raise refusal(_("the body is not CSV in UTF-8"), _("CSV with a header")) from None
    if not lines:
        raise refusal(_("the body has no header"), _("CSV with a header"))
    header, rows = lines[0], lines[1:]
    # `DataFrame.to_csv` writes the index as a first column without a name, which MLflow drops too.
    types = types_of(header, features)
    start = 1 if header[0] == "" and "" not in types else 0
    found = named(header[start:], [row[start:] for row in rows])
    return [{name: cell_value(types.get(name), text) for name, text in r.items()} for r in found]


def types_of(columns: Sequence[str], features: Sequence[Feature]) -> dict[str, FeatureType]:
    """Return the type of each column that is a feature, with or without a year suffix."""
    types = {feature.name: feature.type for feature in features}
    bare = {column: column if column in types else YEAR.sub("", column) for column in columns}
    return {column: types[name] for column, name in bare.items() if name in types}


def cell_value(kind: str | None, text: str) -> Any:
    """Return a cell parsed as its feature's type; one that cannot be stays text, to be refused."""
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
