"""OpenAPI of what no static type says: served contract, MLflow protocol, errors, keys."""

import re
from typing import Any

from mlflow_project.contract.model import Feature, ModelContract
from serving.auth import OPEN_PATHS

_JSON_TYPES = {"double": "number", "long": "integer", "boolean": "boolean", "string": "string"}
_ERRORS = {
    "400": "O corpo não é JSON",
    "401": "Chave ausente ou desconhecida",
    "404": "Nenhum modelo carregado ainda",
    "408": "O corpo não chegou a tempo",
    "413": "Corpo grande demais",
    "415": "Content-Type que não é lido aqui",
    "422": "Instâncias fora do contrato: todos os problemas de uma vez",
    "500": "Erro interno",
    "503": "Nenhum modelo carregado ainda, ou captura exigida e impossível",
}
_PREDICT_ERRORS = ("400", "408", "413", "422", "500", "503")
_INT64 = {"minimum": -(2**63), "maximum": 2**63 - 1}


def complete(
    document: dict[str, Any], contract: ModelContract | None, max_instances: int, keyed: bool
) -> dict[str, Any]:
    """Return FastAPI's document with what it cannot know: the contract, errors, and keys.

    Args:
        document: the OpenAPI document of the routes that static types describe.
        contract: of the served version; None before there is one.
        max_instances: most instances in one request.
        keyed: whether requests need a key.
    """
    paths = document["paths"]
    for path in ("/ready", "/metadata"):
        paths[path]["get"]["responses"]["503"] = _error("503")
    paths["/predict"] = _predict(contract, max_instances)
    paths["/invocations"] = _invocations(contract, max_instances)
    paths["/ping"] = {
        "get": _text("ping", "200 com um modelo carregado (MLflow)", "application/json")
    }
    paths["/ping"]["get"]["responses"]["404"] = {"description": _ERRORS["404"]}
    paths["/version"] = {"get": _text("version", "Versão do MLflow", "application/json")}
    paths["/metrics"] = {"get": _text("metrics", "Métricas para o Prometheus", "text/plain")}
    if keyed:
        schemes = {
            "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            "bearer": {"type": "http", "scheme": "bearer"},
        }
        document.setdefault("components", {})["securitySchemes"] = schemes
        for path in paths.keys() - OPEN_PATHS:
            for operation in paths[path].values():
                operation["security"] = [{"key": []}, {"bearer": []}]
                operation["responses"]["401"] = _error("401")
    return document


def _predict(contract: ModelContract | None, max_instances: int) -> dict[str, Any]:
    """Return the path item of `/predict`; without a contract, only its outline."""
    instances = {
        "type": "array",
        "minItems": 1,
        "maxItems": max_instances,
        "items": _instance(contract),
    }
    whether = {"type": "boolean", "default": False}
    whether["description"] = "acrescenta a cada previsão os atributos que mais mudaram o score"
    if contract is not None and contract.outputs:
        whether = {"const": False}
    body = _object({"instances": instances, "explain": whether}, optional=("explain",))
    request: dict[str, Any] = {"schema": body}
    if contract is not None and contract.example is not None:
        request["example"] = {"instances": [dict(contract.example.instance)]}
    return {
        "post": {
            "summary": "Pontua instâncias com a versão servida",
            "operationId": "predict",
            "requestBody": {"required": True, "content": {"application/json": request}},
            "responses": {
                "200": {
                    "description": "Um resultado por instância, na mesma ordem",
                    "content": {"application/json": {"schema": _answer(contract)}},
                },
                **{status: _error(status) for status in _PREDICT_ERRORS},
            },
        }
    }


def _invocations(contract: ModelContract | None, max_instances: int) -> dict[str, Any]:
    """Return the path item of `/invocations`, whose bodies MLflow's protocol defines."""
    records = {"type": "array", "minItems": 1, "maxItems": max_instances}
    records["items"] = _instance(contract)
    split = {"columns": {"type": "array", "items": {"type": "string"}}, "data": {"type": "array"}}
    bodies = [
        _object({"dataframe_records": records}),
        _object({"instances": {"type": ["array", "object"]}}),
        _object({"inputs": {"type": ["array", "object"]}}),
        _object({"dataframe_split": _object({**split, "index": {"type": "array"}}, ("index",))}),
    ]
    request: dict[str, Any] = {"schema": {"oneOf": bodies}}
    if contract is not None and contract.example is not None:
        request["example"] = {"dataframe_records": [dict(contract.example.instance)]}
    content = {"application/json": request, "text/csv": {"schema": {"type": "string"}}}
    answer = _object({"predictions": {"type": "array"}})
    return {
        "post": {
            "summary": "O protocolo do servidor de pontuação do MLflow",
            "operationId": "invocations",
            "requestBody": {"required": True, "content": content},
            "responses": {
                "200": {
                    "description": "As saídas na forma do pyfunc",
                    "content": {"application/json": {"schema": answer}},
                },
                **{status: _error(status) for status in (*_PREDICT_ERRORS, "415")},
            },
        }
    }


def _text(operation: str, summary: str, media_type: str) -> dict[str, Any]:
    content = {media_type: {"schema": {"type": "string"}}}
    responses = {"200": {"description": summary, "content": content}}
    return {"summary": summary, "operationId": operation, "responses": responses}


def _error(status: str) -> dict[str, Any]:
    content = {"application/json": {"schema": error_schema()}}
    return {"description": _ERRORS[status], "content": content}


def error_schema() -> dict[str, Any]:
    """Return the shape that every error has."""
    detail = {
        "instance": {"type": ["integer", "null"]},
        "field": {"type": ["string", "null"]},
        "problem": {"type": "string"},
        "allowed": {"type": "string"},
    }
    error = {
        "code": {"type": "string"},
        "message": {"type": "string"},
        "details": {"type": "array", "items": _object(detail)},
    }
    return _object({"error": _object(error), "request_id": {"type": "string"}})


def _instance(contract: ModelContract | None) -> dict[str, Any]:
    if contract is None:
        return {"type": "object"}
    fields = {feature.name: _feature(feature) for feature in contract.features}
    if contract.entity:
        text = "identidade; nunca guardada como veio"
        fields[contract.entity] = {
            "type": ["string", "integer", "null"],
            "pattern": "\\S",
            "description": text,
        }
    required = [feature.name for feature in contract.features if not feature.nullable]
    text = "um ano no fim do nome (_20xx) é aceito e ignorado"
    dated = "|".join(re.escape(name) for name in fields)
    return {
        "type": "object",
        "description": text,
        "properties": fields,
        "patternProperties": {f"^({dated})_20[0-9][0-9]$": {}},
        "required": required,
        "additionalProperties": False,
    }


def _feature(feature: Feature) -> dict[str, Any]:
    kind = _JSON_TYPES[feature.type]
    schema: dict[str, Any] = {"type": [kind, "null"] if feature.nullable else kind}
    if feature.values:
        schema["enum"] = [*feature.values, *([None] if feature.nullable else [])]
    if feature.type == "long":
        schema |= _INT64
    limits = {"minimum": feature.min, "maximum": feature.max}
    schema |= {key: value for key, value in limits.items() if value is not None}
    text = " ".join(filter(None, [feature.description, feature.unit and f"({feature.unit})"]))
    return schema | ({"description": text} if text else {})


def _answer(contract: ModelContract | None) -> dict[str, Any]:
    prediction: dict[str, Any] = {"model_version": {"type": "string"}}
    threshold: dict[str, Any] = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
    if contract is not None and contract.outputs:
        prediction |= {name: {} for name in contract.outputs}
        threshold = {"type": "null"}
    elif contract is not None:
        prediction[contract.score_name] = {"type": "number"}
        prediction[contract.label_name] = {"type": "integer", "enum": [0, 1]}
        threshold["type"] = "number"
        effect = {"feature": {"type": "string"}, "description": {"type": "string"}}
        effect |= {"effect": {"type": "number"}, "reference": {}}
        prediction["explanation"] = {"type": "array", "items": _object(effect)}
    item = {"type": "object"} if contract is None else _object(prediction, ("explanation",))
    return _object(
        {
            "predictions": {"type": "array", "items": item},
            "model_version": {"type": "string"},
            "threshold": threshold,
            "request_id": {"type": "string"},
            "processing_time_ms": {"type": "number", "minimum": 0},
        }
    )


def _object(properties: dict[str, Any], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }
