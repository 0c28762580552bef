"""OpenAPI beyond the static types: served contract, MLflow protocol, errors, keys."""

from collections.abc import Collection, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from core.contract import names
from core.contract.model import Example, ModelContract
from core.messages import N_, _
from serving.config.model_paths import prefix_of
from serving.config.settings import Settings
from serving.deployment.deployment import Deployment
from serving.http.auth import OPEN_PATHS
from serving.http.openapi_input import YEAR_LIMITS, closed_object, invocations_content, predict_body
from serving.http.pages import LIST, REPORT_PATH, pages_of, text_routes
from serving.http.status import MODELS
from serving.protocol.media import NDJSON, SHEET_TYPES, XLSX

_ERRORS = {
    "400": N_("The body is not JSON"),
    "401": N_("Key missing or unknown"),
    "404": N_("Does not exist"),
    "408": N_("The body did not arrive in time"),
    "413": N_("The body is too large"),
    "415": N_("A Content-Type that is not read here"),
    "422": N_("Instances that do not fit the contract: all problems at once"),
    "500": N_("Internal error"),
    "503": N_("No model yet, capture required and impossible, or MLflow away"),
}
_POST_ERRORS = ("400", "408", "413", "422", "500", "503")

_SUMMARIES = {
    "/health": N_("State of the service; always 200"),
    "/ready": N_("200 with a model loaded, 503 before"),
    "/metadata": N_("The served version: contract, metrics, origin"),
    MODELS: N_("The models of this server, and how each of them is"),
}
_SCHEMAS = {
    "CaptureState": N_("Captured rows of the answering worker since it started"),
    "ShadowState": N_("What scores beside the answers, and how many rows it did or dropped"),
    "Health": N_("State of the service: `degraded` says that someone should look"),
    "Ready": N_("The release that is served"),
    "Metadata": N_("The served version and where it comes from"),
    "Models": N_("The models of this server, the first one first"),
    "ModelState": N_("A model: what it serves, and why someone should look"),
    "CanaryState": N_("The version that answers a share of the requests, in percent"),
}


def describe(app: FastAPI, deployments: Sequence[Deployment]) -> dict[str, Any]:
    """Return the current OpenAPI document: FastAPI's, completed by the served versions.

    The first model is at the unprefixed paths, each of several under its prefix as well.
    """
    main = deployments[0]
    served, settings = main.follower.served, main.settings
    document = get_openapi(
        title=app.title,
        version=served.release if served else "0",
        routes=app.routes,
        description=_("Proxy of a model registered in MLflow."),
    )
    paths = document["paths"]
    _translate(document)
    for path in ("/ready", "/metadata"):
        paths[path]["get"]["responses"]["503"] = _error("503")
    paths |= _scoring(main)
    for each in deployments if settings.models else ():
        paths |= _scoring(each, prefix_of(each.name), f"_{each.name}")
    for one in text_routes(app.routes):
        text = {one.media_type: {"schema": {"type": "string"}}}
        answers = {"200": {"description": _(one.summary), "content": text}}
        read = {"summary": _(one.summary), "operationId": one.operation, "responses": answers}
        paths[one.path] = {"get": read}
    paths["/ping"]["get"]["responses"]["404"] = {"description": _("No model loaded yet")}
    _complete_report(paths[REPORT_PATH]["get"])
    paths[LIST]["post"] = _list()
    if settings.api_keys:
        _ask_for_keys(document, pages_of(app.routes))
    return document


def _scoring(deployment: Deployment, prefix: str = "", suffix: str = "") -> dict[str, Any]:
    """Return a model's scoring paths; `suffix` makes its operation ids unique."""
    served, settings = deployment.follower.served, deployment.settings
    contract = served.version.contract if served else None
    threshold = served.threshold if served else None
    params = served.version.params.names if served else ()
    found = {
        "/predict": _predict(contract, threshold, settings, f"predict{suffix}"),
        "/predict/batch": _predict(contract, threshold, settings, f"predict_batch{suffix}"),
        "/invocations": _invocations(contract, params, settings, f"invocations{suffix}"),
    }
    return {prefix + path: {"post": one} for path, one in found.items()}


def _translate(document: dict[str, Any]) -> None:
    """Replace the texts that FastAPI takes from names and docstrings by translated messages."""
    for path, summary in _SUMMARIES.items():
        operation = document["paths"][path]["get"]
        operation["summary"] = operation["responses"]["200"]["description"] = _(summary)
    for name, schema in document["components"]["schemas"].items():
        schema.pop("description", None)
        if name in _SCHEMAS:
            schema["description"] = _(_SCHEMAS[name])


def _ask_for_keys(document: dict[str, Any], pages: Collection[str]) -> None:
    basic = _("for browsers: any user, and the key as password")
    document["components"]["securitySchemes"] = {
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "bearer": {"type": "http", "scheme": "bearer"},
        "password": {"type": "http", "scheme": "basic", "description": basic},
    }
    paths = document["paths"]
    for path in paths.keys() - OPEN_PATHS:
        for operation in paths[path].values():
            operation["security"] = [{"key": []}, {"bearer": []}]
            if path in pages:
                operation["security"].append({"password": []})
            operation["responses"]["401"] = _error("401")


def _predict(
    contract: ModelContract | None,
    threshold: float | None,
    settings: Settings,
    operation: str,
) -> dict[str, Any]:
    more_fields = settings.unknown_fields == "ignore"
    body = predict_body(contract, settings.max_instances, more_fields)
    request: dict[str, Any] = {"schema": body}
    answer: dict[str, Any] = {"schema": _answer(contract)}
    if contract is not None and contract.example is not None:
        request["example"] = {"instances": [dict(contract.example.instance)]}
        if threshold is not None:
            answer["example"] = _answer_example(contract, contract.example, threshold)
    return _post(
        operation,
        _("Score instances with the served version"),
        {"application/json": request},
        _("One result per instance, in the same order"),
        {"application/json": answer},
    )


def _answer_example(contract: ModelContract, example: Example, threshold: float) -> dict[str, Any]:
    """Return the served version's response to the contract's example."""
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


def _invocations(
    contract: ModelContract | None, params: Sequence[str], settings: Settings, operation: str
) -> dict[str, Any]:
    most, more_fields = settings.max_invocations_rows, settings.unknown_fields != "refuse"
    answer = closed_object({"predictions": {"type": "array"}})
    return _post(
        operation,
        _("The protocol of MLflow's scoring server"),
        invocations_content(contract, most, more_fields, params),
        _("The outputs in the shape of pyfunc's"),
        {"application/json": {"schema": answer}},
        "415",
    )


def _list() -> dict[str, Any]:
    file = {"schema": {"type": "string", "format": "binary"}}
    summary = _("Score a workbook: the list, or with Accept: application/x-ndjson its progress too")
    answers = {XLSX: file, NDJSON: {"schema": {"type": "string"}}}
    sent = dict.fromkeys(SHEET_TYPES, file)
    year = {"name": "year", "in": "query", "schema": {"type": "integer", **YEAR_LIMITS}}
    return _post("make_list", summary, sent, summary, answers, "415") | {"parameters": [year]}


def _post(
    operation: str,
    summary: str,
    sent: dict[str, Any],
    description: str,
    answers: dict[str, Any],
    *errors: str,
) -> dict[str, Any]:
    """Return an operation that scores: request and response content by media type."""
    return {
        "summary": summary,
        "operationId": operation,
        "requestBody": {"required": True, "content": sent},
        "responses": {
            "200": {"description": description, "content": answers},
            **{status: _error(status) for status in (*_POST_ERRORS, *errors)},
        },
    }


def _complete_report(operation: dict[str, Any]) -> None:
    jobs = {"type": "string", "enum": [names.JOB_DRIFT, names.JOB_PERFORMANCE]}
    kinds = {"job": jobs, "run_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"}}
    operation["parameters"] = [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name, schema in kinds.items()
    ]
    operation["responses"] |= {"404": _error("404"), "503": _error("503")}


def _error(status: str) -> dict[str, Any]:
    content = {"application/json": {"schema": error_schema()}}
    return {"description": _(_ERRORS[status]), "content": content}


def error_schema() -> dict[str, Any]:
    """Return the schema of every error response."""
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
