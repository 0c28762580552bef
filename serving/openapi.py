"""OpenAPI of `/predict`, drawn from the served contract, since no static type describes it."""

from typing import Any

from mlflow_project.contract.model import Feature, ModelContract

_JSON_TYPES = {"double": "number", "long": "integer", "boolean": "boolean", "string": "string"}
_ERRORS = {
    "400": "O corpo não é JSON",
    "401": "Chave ausente ou desconhecida",
    "413": "Corpo grande demais",
    "422": "Instâncias fora do contrato: todos os problemas de uma vez",
    "500": "Erro interno",
    "503": "Nenhum modelo carregado ainda",
}


def predict_path(contract: ModelContract | None, max_instances: int) -> dict[str, Any]:
    """Return the path item of `/predict`; without a contract, only its outline."""
    instances = {
        "type": "array",
        "minItems": 1,
        "maxItems": max_instances,
        "items": _instance(contract),
    }
    request: dict[str, Any] = {"schema": _object({"instances": instances})}
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
                **{
                    status: {
                        "description": text,
                        "content": {"application/json": {"schema": error_schema()}},
                    }
                    for status, text in _ERRORS.items()
                },
            },
        }
    }


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
        fields[contract.entity] = {"type": ["string", "integer", "null"], "description": text}
    required = [feature.name for feature in contract.features if not feature.nullable]
    text = "um ano no fim do nome (_20xx) é aceito e ignorado"
    return {
        "type": "object",
        "description": text,
        "properties": fields,
        "required": required,
        "additionalProperties": False,
    }


def _feature(feature: Feature) -> dict[str, Any]:
    kind = _JSON_TYPES[feature.type]
    schema: dict[str, Any] = {"type": [kind, "null"] if feature.nullable else kind}
    if feature.values:
        schema["enum"] = [*feature.values, *([None] if feature.nullable else [])]
    limits = {"minimum": feature.min, "maximum": feature.max}
    schema |= {key: value for key, value in limits.items() if value is not None}
    text = " ".join(filter(None, [feature.description, feature.unit and f"({feature.unit})"]))
    return schema | ({"description": text} if text else {})


def _answer(contract: ModelContract | None) -> dict[str, Any]:
    score, label = ("score", "label") if contract is None else _outputs(contract)
    prediction = {
        score: {"type": "number"},
        label: {"type": "integer", "enum": [0, 1]},
        "model_version": {"type": "string"},
    }
    return _object(
        {
            "predictions": {"type": "array", "items": _object(prediction)},
            "model_version": {"type": "string"},
            "threshold": {"type": "number", "minimum": 0, "maximum": 1},
            "request_id": {"type": "string"},
            "processing_time_ms": {"type": "number", "minimum": 0},
        }
    )


def _outputs(contract: ModelContract) -> tuple[str, str]:
    return contract.score_name, contract.label_name


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
