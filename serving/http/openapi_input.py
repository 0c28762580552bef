"""Schemas of what may be sent: instances by the served contract, MLflow's bodies, CSV.

What a schema allows is accepted. Some of what is accepted no schema can say (a year at the end of a
name, but not two years; columns of one length); descriptions tell it.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from core.contract.model import Feature, ModelContract
from core.contract.types import FEATURE_TYPES, LONG_RANGE
from serving.http.number_pattern import number_pattern

_INT64 = {"minimum": LONG_RANGE[0], "maximum": LONG_RANGE[-1]}
_DATED = "um ano no fim do nome (_20xx) é aceito e ignorado; dois anos do mesmo campo, não"


def closed_object(properties: dict[str, Any], optional: Sequence[str] = ()) -> dict[str, Any]:
    """Return the schema of an object with these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def predict_body(contract: ModelContract | None, max_instances: int) -> dict[str, Any]:
    """Return the schema of a body of `/predict`; without a contract, only its outline."""
    explain: dict[str, Any] = {"type": "boolean", "default": False}
    explain["description"] = "acrescenta a cada previsão os atributos que mais mudaram o score"
    if contract is not None and contract.outputs:
        explain = {"const": False}
    instances = _several(_instance(contract), max_instances)
    return closed_object({"instances": instances, "explain": explain}, optional=("explain",))


def invocations_content(contract: ModelContract | None, max_instances: int) -> dict[str, Any]:
    """Return the `content` of a request to `/invocations`, by media type."""
    instance = _instance(contract)
    records = _several(instance, max_instances)
    tensor: dict[str, Any] = {"type": ["array", "object"]}
    split: dict[str, Any] = {
        "columns": {"type": "array"},
        "data": {"type": "array"},
        "index": {"type": "array"},
    }
    text: dict[str, Any] = {"type": "string"}
    examples: dict[str, dict[str, Any]] = {"json": {}, "csv": {}}
    if contract is not None:
        rows = _several(_row(contract.features), max_instances)
        tensor = {"anyOf": [records, rows, instance]}
        tensor["description"] = "também colunas: um objeto de listas do mesmo comprimento"
        split |= {"columns": {"const": list(contract.feature_names)}, "data": rows}
        text |= {"pattern": _csv_pattern(contract, max_instances)}
        text["description"] = "cabeçalho e uma linha por instância; as colunas em qualquer ordem"
        if contract.example is not None:
            body = {"dataframe_records": [dict(contract.example.instance)]}
            lines = [_csv_line(contract.feature_names), _csv_example(contract), ""]
            examples = {"json": {"example": body}, "csv": {"example": "\n".join(lines)}}
    bodies = [
        closed_object({"dataframe_records": records}),
        closed_object({"dataframe_split": closed_object(split, ("index",))}),
        closed_object({"instances": tensor}),
        closed_object({"inputs": tensor}),
    ]
    return {
        "application/json": {"schema": {"oneOf": bodies}, **examples["json"]},
        "text/csv": {"schema": text, **examples["csv"]},
    }


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _several(item: dict[str, Any], most: int) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "maxItems": most, "items": item}


def _instance(contract: ModelContract | None) -> dict[str, Any]:
    if contract is None:
        return {"type": "object"}
    fields = {feature.name: _feature(feature) for feature in contract.features}
    if contract.entity:
        fields[contract.entity] = {
            "type": ["string", "integer", "null"],
            "pattern": "\\S",
            "description": "identidade; nunca guardada como veio",
        }
    optional = [name for name in fields if name not in _required(contract)]
    return {**closed_object(fields, optional), "description": _DATED}


def _required(contract: ModelContract) -> list[str]:
    return [feature.name for feature in contract.features if not feature.nullable]


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
    limits: Mapping[str, Any] = {"minimum": feature.min, "maximum": feature.max}
    schema |= {key: value for key, value in limits.items() if value is not None}
    text = " ".join(filter(None, [feature.description, feature.unit and f"({feature.unit})"]))
    return schema | ({"description": text} if text else {})


def _csv_pattern(contract: ModelContract, most: int) -> str:
    """Return a regular expression of bodies with every feature in the contract's order."""
    features = contract.features
    header = _literal(_csv_line(contract.feature_names))
    # A line with nothing on it is no row.
    optional = len(features) > 1
    row = ",".join(_cell(feature, optional=optional) for feature in features)
    if contract.example is not None:
        row += "|" + _literal(_csv_example(contract))
    return f"^{header}\\n(({row})\\n){{1,{most}}}$"


def _csv_example(contract: ModelContract) -> str:
    instance = contract.example.instance if contract.example else {}
    return _csv_line([_text(instance[name]) for name in contract.feature_names])


def _cell(feature: Feature, *, optional: bool) -> str:
    if feature.type == "boolean":
        pattern = "true|false"
    elif feature.type == "string" and feature.values:
        pattern = "|".join(_literal(_csv_line([value])) for value in feature.values)
    elif feature.type == "string":
        pattern = "[A-Z][a-z]{4,20}"
    else:
        pattern = number_pattern(feature.min, feature.max, whole=feature.type == "long")
    return f"({pattern})?" if feature.nullable and optional else f"({pattern})"


def _csv_line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def _literal(text: str) -> str:
    """Escape what a regular expression reads as more than itself, in every dialect the same."""
    return re.sub(r"([.^$*+?{}\[\]\\|()/])", r"\\\1", text)
