"""OpenAPI of what no static type says: served contract, MLflow protocol, errors, keys."""

from typing import Any

from core.contract import names
from core.contract.model import Example, ModelContract
from serving.http.auth import OPEN_PATHS, PAGE, REPORT_PATH
from serving.http.openapi_input import closed_object, invocations_content, predict_body

_ERRORS = {
    "400": "O corpo não é JSON",
    "401": "Chave ausente ou desconhecida",
    "404": "Não existe",
    "408": "O corpo não chegou a tempo",
    "413": "Corpo grande demais",
    "415": "Content-Type que não é lido aqui",
    "422": "Instâncias fora do contrato: todos os problemas de uma vez",
    "500": "Erro interno",
    "503": "Ainda sem modelo, captura exigida e impossível, ou MLflow fora do ar",
}
_BASIC = "para navegadores: qualquer usuário, e a chave como senha"
_PREDICT_ERRORS = ("400", "408", "413", "422", "500", "503")


def complete(
    document: dict[str, Any],
    contract: ModelContract | None,
    threshold: float | None,
    max_instances: int,
    keyed: bool,
) -> dict[str, Any]:
    """Return FastAPI's document with what it cannot know: the contract, errors, and keys.

    Args:
        document: the OpenAPI document of the routes that static types describe.
        contract: of the served version; None before there is one.
        threshold: in force; None where there is none.
        max_instances: most instances in one request.
        keyed: whether requests need a key.
    """
    paths = document["paths"]
    for path in ("/ready", "/metadata"):
        paths[path]["get"]["responses"]["503"] = _error("503")
    paths["/predict"] = _predict(contract, threshold, max_instances)
    paths["/invocations"] = _invocations(contract, max_instances)
    paths["/ping"] = {"get": _text("ping", "200 com um modelo carregado (MLflow)", "text/plain")}
    paths["/ping"]["get"]["responses"]["404"] = {"description": "Nenhum modelo carregado ainda"}
    paths["/version"] = {"get": _text("version", "Versão do MLflow", "text/plain")}
    paths["/metrics"] = {"get": _text("metrics", "Métricas para o Prometheus", "text/plain")}
    paths[PAGE] = {"get": _text("painel", "Página para quem opera o serviço", "text/html")}
    paths[REPORT_PATH] = {"get": _report()}
    if keyed:
        schemes = {
            "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            "bearer": {"type": "http", "scheme": "bearer"},
            "password": {"type": "http", "scheme": "basic", "description": _BASIC},
        }
        document.setdefault("components", {})["securitySchemes"] = schemes
        for path in paths.keys() - OPEN_PATHS:
            for operation in paths[path].values():
                operation["security"] = [{"key": []}, {"bearer": []}]
                if path in (PAGE, REPORT_PATH):
                    operation["security"].append({"password": []})
                operation["responses"]["401"] = _error("401")
    return document


def _predict(
    contract: ModelContract | None, threshold: float | None, max_instances: int
) -> dict[str, Any]:
    request: dict[str, Any] = {"schema": predict_body(contract, max_instances)}
    answer: dict[str, Any] = {"schema": _answer(contract)}
    if contract is not None and contract.example is not None:
        request["example"] = {"instances": [dict(contract.example.instance)]}
        if threshold is not None:
            answer["example"] = _answer_example(contract, contract.example, threshold)
    return {
        "post": {
            "summary": "Pontua instâncias com a versão servida",
            "operationId": "predict",
            "requestBody": {"required": True, "content": {"application/json": request}},
            "responses": {
                "200": {
                    "description": "Um resultado por instância, na mesma ordem",
                    "content": {"application/json": answer},
                },
                **{status: _error(status) for status in _PREDICT_ERRORS},
            },
        }
    }


def _answer_example(contract: ModelContract, example: Example, threshold: float) -> dict[str, Any]:
    """Return what the served version answers to the contract's example."""
    prediction = {
        contract.score_name: example.score,
        contract.label_name: int(example.score >= threshold),
        "model_version": contract.release,
    }
    return {
        "predictions": [prediction],
        "model_version": contract.release,
        "threshold": threshold,
        "request_id": "0" * 32,
        "processing_time_ms": 1.0,
    }


def _invocations(contract: ModelContract | None, max_instances: int) -> dict[str, Any]:
    answer = closed_object({"predictions": {"type": "array"}})
    return {
        "post": {
            "summary": "O protocolo do servidor de pontuação do MLflow",
            "operationId": "invocations",
            "requestBody": {
                "required": True,
                "content": invocations_content(contract, max_instances),
            },
            "responses": {
                "200": {
                    "description": "As saídas na forma do pyfunc",
                    "content": {"application/json": {"schema": answer}},
                },
                **{status: _error(status) for status in (*_PREDICT_ERRORS, "415")},
            },
        }
    }


def _report() -> dict[str, Any]:
    operation = _text("relatorio", "Um relatório, como o trabalho o guardou no MLflow", "text/html")
    jobs = {"type": "string", "enum": [names.JOB_DRIFT, names.JOB_PERFORMANCE]}
    kinds = {"job": jobs, "run_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"}}
    operation["parameters"] = [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name, schema in kinds.items()
    ]
    operation["responses"] |= {"404": _error("404"), "503": _error("503")}
    return operation


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
        "details": {"type": "array", "items": closed_object(detail)},
    }
    return closed_object({"error": closed_object(error), "request_id": {"type": "string"}})


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
        prediction["explanation"] = {"type": "array", "items": closed_object(effect)}
    item = {"type": "object"} if contract is None else closed_object(prediction, ("explanation",))
    return closed_object(
        {
            "predictions": {"type": "array", "items": item},
            "model_version": {"type": "string"},
            "threshold": threshold,
            "request_id": {"type": "string"},
            "processing_time_ms": {"type": "number", "minimum": 0},
        }
    )
