"""Schemas of request bodies: instances by the served contract, MLflow's formats, CSV.

JSON that a schema allows is accepted. Some accepted input cannot be expressed in JSON Schema (a
year at the end of a name, but not two years; columns of equal length; CSV): descriptions and
examples document it.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from core.contract.model import Feature, ModelContract
from core.contract.types import FEATURE_TYPES, LONG_RANGE
from core.messages import _, ngettext
from serving.protocol.mlflow_input import PARQUET
from serving.protocol.values import YEARS

_NO_LIST = ["string", "number", "boolean", "object", "null"]
_INT64 = {"minimum": LONG_RANGE[0], "maximum": LONG_RANGE[-1]}
YEAR_LIMITS = {"minimum": YEARS[0], "maximum": YEARS[-1]}


def closed_object(properties: dict[str, Any], optional: Sequence[str] = ()) -> dict[str, Any]:
    """Return the schema of an object with these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def predict_body(
    contract: ModelContract | None, max_instances: int, more_fields: bool = False
) -> dict[str, Any]:
    """Return the schema of a body of `/predict`; without a contract, only its outline.

    `more_fields` is whether fields outside the contract are accepted, and dropped.
    """
    explain: dict[str, Any] = {"type": "boolean", "default": False}
    explain["description"] = _("adds to each prediction the features that changed its score most")
    if contract is not None and contract.outputs:
        explain = {"const": False}
    instances = _several(_instance(contract, more_fields), max_instances)
    return closed_object({"instances": instances, "explain": explain}, optional=("explain",))


def invocations_content(
    contract: ModelContract | None,
    max_instances: int,
    more_fields: bool = True,
    params: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the `content` of a request to `/invocations`, by media type.

    `params` are the names of the signature's parameters.
    """
    instance = _instance(contract, more_fields)
    records = _several(instance, max_instances)
    if more_fields:
        # An object with a list among its values is read as columns.
        instance = {**instance, "additionalProperties": {"type": _NO_LIST}}
    tensor: dict[str, Any] = {"type": ["array", "object"]}
    split: dict[str, Any] = {
        "columns": {"type": "array"},
        "data": {"type": "array"},
        "index": {"type": "array", "description": _("a name for each row, which no model reads")},
    }
    header = _("a header and one line per instance; the columns in any order")
    text: dict[str, Any] = {"type": "string", "description": header}
    examples: dict[str, dict[str, Any]] = {"json": {}, "csv": {}}
    if contract is not None:
        rows = _several(_row(contract.features), max_instances)
        tensor = {"anyOf": [records, rows, instance]}
        tensor["description"] = _("columns too: an object of lists of one length")
        split |= {"columns": {"const": list(contract.feature_names)}, "data": rows}
        if contract.example is not None:
            shown = contract.example.instance
            examples = {
                "json": {"example": {"dataframe_records": [dict(shown)]}},
                "csv": {"example": _csv_example(contract, shown)},
            }
    given = closed_object({name: {} for name in params}, optional=params)
    given["type"] = ["object", "null"]
    given["description"] = _("parameters of the model's signature, each of its type")
    formats = {
        "dataframe_records": records,
        "dataframe_split": closed_object(split, ("index",)),
        "instances": tensor,
        "inputs": tensor,
    }
    bodies = []
    for name, schema in formats.items():
        others = {other: False for other in formats if other != name}
        body = closed_object({name: schema, "params": given, **others}, ("params", *others))
        bodies.append({**body, "additionalProperties": more_fields})
    return {
        "application/json": {"schema": {"anyOf": bodies}, **examples["json"]},
        "text/csv": {"schema": text, **examples["csv"]},
        PARQUET: {"schema": {"type": "string", "format": "binary"}},
    }


def _several(item: dict[str, Any], most: int) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "maxItems": most, "items": item}


def _instance(contract: ModelContract | None, more_fields: bool = False) -> dict[str, Any]:
    if contract is None:
        return {"type": "object"}
    fields = {feature.name: _feature(feature) for feature in contract.features}
    if contract.entity:
        fields[contract.entity] = {
            "type": ["string", "integer", "null"],
            "pattern": "\\S",
            "description": _("identity; never kept as it came"),
        }
    if contract.period_field:
        fields[contract.period_field] = {"type": ["integer", "null"], **YEAR_LIMITS}
    needed = [f.name for f in contract.features if f.required or not f.nullable]
    optional = [name for name in fields if name not in needed]
    found = {**closed_object(fields, optional), "description": period_text(contract)}
    if more_fields:
        found["additionalProperties"] = True
        left_out = _("fields that the model does not have are left out")
        found["description"] = "; ".join(filter(None, [found["description"], left_out]))
    return found


def period_text(contract: ModelContract) -> str:
    """Return a description of how a row states its period, and of the score's horizon."""
    said = []
    if contract.year_suffixes:
        said.append(
            _("a year at the end of a name (_20xx) is the row's period, and one row has one period")
        )
    if contract.period_field:
        said.append(_("{field} is the row's period, a year", field=contract.period_field))
    if contract.horizon is not None:
        said.append(
            ngettext(
                "the score is about {n} year after the period",
                "the score is about {n} years after the period",
                contract.horizon,
            )
        )
    return "; ".join(said)


def _row(features: Sequence[Feature]) -> dict[str, Any]:
    """Return the schema of one row as a list, a value per feature in order."""
    size = len(features)
    return {
        "type": "array",
        "prefixItems": [_feature(feature) for feature in features],
        "items": False,
        "minItems": size,
        "maxItems": size,
    }


def _feature(feature: Feature) -> dict[str, Any]:
    kind = FEATURE_TYPES[feature.type].json
    schema: dict[str, Any] = {"type": [kind, "null"] if feature.nullable else kind}
    if feature.values:
        schema["enum"] = [*feature.values, *([None] if feature.nullable else [])]
    if feature.type == "long":
        schema |= _INT64
    if feature.type == "datetime":
        schema["format"] = "date-time"
    limits: Mapping[str, Any] = {"minimum": feature.min, "maximum": feature.max}
    schema |= {key: value for key, value in limits.items() if value is not None}
    text = " ".join(filter(None, [feature.description, feature.unit and f"({feature.unit})"]))
    return schema | ({"description": text} if text else {})


def _csv_example(contract: ModelContract, instance: Mapping[str, Any]) -> str:
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(contract.feature_names)
    cells = [instance[name] for name in contract.feature_names]
    lines.writerow([str(cell).lower() if isinstance(cell, bool) else cell for cell in cells])
    return text.getvalue()
