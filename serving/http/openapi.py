"""OpenAPI of what no static type says: served contract, MLflow protocol, errors, keys."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from core.contract import names
from core.contract.model import Example, ModelContract
from core.messages import N_, _
from serving.config.model_paths import prefix_of
from serving.config.settings import Settings
from serving.deployment.deployment import Deployment
from serving.http.auth import LIST, OPEN_PATHS, PAGE, REPORT_PATH, RUNBOOK, is_page
from serving.http.openapi_input import closed_object, invocations_content, predict_body
from serving.http.status import MODELS
from serving.protocol.media import NDJSON, SHEET_TYPES, XLSX
from serving.protocol.values import YEARS

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
_PREDICT_ERRORS = ("400", "408", "413", "422", "500", "503")


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
    """Describe the API as it is now: FastAPI's document, completed by the served versions.

    The first model is at the usual paths, each of several under its prefix as well.
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
    for one in deployments if settings.models else ():
        paths |= _scoring(one, prefix_of(one.name), f"_{one.name}")
    paths["/ping"] = {"get": _text("ping", _("200 with a model loaded (MLflow)"), "text/plain")}
    paths["/ping"]["get"]["responses"]["404"] = {"description": _("No model loaded yet")}
    paths["/version"] = {"get": _text("version", _("Version of MLflow"), "text/plain")}
    paths["/metrics"] = {"get": _text("metrics", _("Metrics for Prometheus"), "text/plain")}
    paths[PAGE] = {"get": _text("painel", _("Page for those who operate the service"), "text/html")}
    paths[REPORT_PATH] = {"get": _report()}
    runbook = _text("runbook", _("The runbook, as a page"), "text/html")
    paths[RUNBOOK] = {"get": runbook}
    paths[LIST] = {
        "get": _text("lista", _("Page that makes a list from a workbook"), "text/html"),
        "post": _list(),
    }
    if settings.api_keys:
        _ask_for_keys(document)
    return document


def _scoring(deployment: Deployment, prefix: str = "", suffix: str = "") -> dict[str, Any]:
    """Describe the paths of a model that score; a suffix tells its operations from others'."""
    served, settings = deployment.follower.served, deployment.settings
    contract = served.version.contract if served else None
    threshold = served.threshold if served else None
    params = served.version.params.names if served else ()
    found = {
        "/predict": _predict(contract, threshold, settings),
        "/predict/batch": _predict(contract, threshold, settings, "predict_batch"),
        "/invocations": _invocations(contract, settings, params),
    }
    for path in found.values():
        path["post"]["operationId"] += suffix
    return {prefix + path: one for path, one in found.items()}


def _translate(document: dict[str, Any]) -> None:
    """Put what FastAPI takes from names and docstrings into the reader's language."""
    for path, summary in _SUMMARIES.items():
        operation = document["paths"][path]["get"]
        operation["summary"] = operation["responses"]["200"]["description"] = _(summary)
    for name, schema in document["components"]["schemas"].items():
        schema.pop("description", None)
        if name in _SCHEMAS:
            schema["description"] = _(_SCHEMAS[name])


def _ask_for_keys(document: dict[str, Any]) -> None:
    basic = _("for browsers: any user, and the key as password")
    document.setdefault("components", {})["securitySchemes"] = {
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "bearer": {"type": "http", "scheme": "bearer"},
        "password": {"type": "http", "scheme": "basic", "description": basic},
    }
    paths = document["paths"]
    for path in paths.keys() - OPEN_PATHS:
        for operation in paths[path].values():
            operation["security"] = [{"key": []}, {"bearer": []}]
            if is_page(path):
                operation["security"].append({"password": []})
            operation["responses"]["401"] = _error("401")


def _predict(
    contract: ModelContract | None,
    threshold: float | None,
    settings: Settings,
    operation: str = "predict",
) -> dict[str, Any]:
    body = predict_body(contract, settings.max_instances, settings.predict_leaves_out)
    request: dict[str, Any] = {"schema": body}
    answer: dict[str, Any] = {"schema": _answer(contract)}
    if contract is not None and contract.example is not None:
        request["example"] = {"instances": [dict(contract.example.instance)]}
        if threshold is not None:
            answer["example"] = _answer_example(contract, contract.example, threshold)
    return {
        "post": {
            "summary": _("Score instances with the served version"),
            "operationId": operation,
            "requestBody": {"required": True, "content": {"application/json": request}},
            "responses": {
                "200": {
                    "description": _("One result per instance, in the same order"),
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


def _invocations(
    contract: ModelContract | None, settings: Settings, params: Sequence[str]
) -> dict[str, Any]:
    most, more_fields = settings.max_invocations_rows, settings.invocations_leave_out
    answer = closed_object({"predictions": {"type": "array"}})
    return {
        "post": {
            "summary": _("The protocol of MLflow's scoring server"),
            "operationId": "invocations",
            "requestBody": {
                "required": True,
                "content": invocations_content(contract, most, more_fields, params),
            },
            "responses": {
                "200": {
                    "description": _("The outputs in the shape of pyfunc's"),
                    "content": {"application/json": {"schema": answer}},
                },
                **{status: _error(status) for status in (*_PREDICT_ERRORS, "415")},
            },
        }
    }


def _list() -> dict[str, Any]:
    file = {"schema": {"type": "string", "format": "binary"}}
    year = {"type": "integer", "minimum": YEARS[0], "maximum": YEARS[-1]}
    summary = _("Score a workbook: the list, or with Accept: application/x-ndjson its progress too")
    answers = {XLSX: file, NDJSON: {"schema": {"type": "string"}}}
    return {
        "summary": summary,
        "operationId": "make_list",
        "parameters": [{"name": "year", "in": "query", "schema": year}],
        "requestBody": {"required": True, "content": dict.fromkeys(SHEET_TYPES, file)},
        "responses": {
            "200": {"description": summary, "content": answers},
            **{status: _error(status) for status in (*_PREDICT_ERRORS, "415")},
        },
    }


def _report() -> dict[str, Any]:
    summary = _("A report, as its job kept it in MLflow")
    operation = _text("relatorio", summary, "text/html")
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
    return {"description": _(_ERRORS[status]), "content": content}


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
