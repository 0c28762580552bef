"""The application: the parts, put together; the lifespan starts and ends what runs beside it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NoReturn

from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.routing import Route

from serving.capture.recorder import Capture
from serving.config.settings import Settings
from serving.deployment.shadow import Shadow
from serving.engine.batcher import Batcher
from serving.engine.job import Job
from serving.errors import RouteError
from serving.following.follower import Follower
from serving.following.history import HistoryReader
from serving.following.registry import Registry
from serving.http.auth import ApiKeys
from serving.http.exposition import scrape_route, state_of
from serving.http.invocations import InvocationsEndpoint, PingEndpoint, mlflow_version
from serving.http.middleware import RequestMiddleware
from serving.http.openapi import complete
from serving.http.predict import PredictEndpoint
from serving.http.status import build_router
from serving.panel.gathering import gatherer
from serving.panel.page import panel_routes
from serving.telemetry.logs import JsonLog
from serving.telemetry.memory import share_one_arena
from serving.telemetry.metrics import Metrics

_SWITCH_SECONDS = 0.0005
_FIRST_LOOK_SECONDS = 15.0
"""Longest time that a worker waits for the registry before it answers without a model."""

_NO_TELEMETRY: Any = {"tracing": False, "metrics": False, "logs": False}


def create_app(settings: Settings) -> FastAPI:
    """Return the proxy for `settings`; nothing is read, opened or started before its lifespan."""
    log = JsonLog(settings.log_file)
    registry = Registry(settings.mlflow_tracking_uri, settings.model_name, settings.model_alias)
    follower = Follower(registry, settings, log)
    capture = Capture(settings, log)
    shadow = Shadow(settings, settings.shadow_alias, log) if settings.shadow_alias else None
    metrics = Metrics(
        settings.workers_dir,
        lambda: state_of(follower, capture, settings.model_alias, shadow),
        lambda: follower.served is not None,
    )

    def record(jobs: Sequence[Job]) -> None:
        capture.append(jobs)
        metrics.batch(jobs)
        if shadow is not None:
            shadow.offer(jobs)

    batcher = Batcher(record)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        log.event("INFO", f"processo iniciado; segue {registry.name}@{registry.alias}")
        capture.start()
        metrics.start()
        follower.start()
        if shadow is not None:
            shadow.start()
        # Until then the sockets wait, so that a worker that starts beside others refuses nobody.
        await asyncio.to_thread(follower.looked.wait, _FIRST_LOOK_SECONDS)
        metrics.serving()
        try:
            yield
        finally:
            follower.close()
            batcher.close()
            if shadow is not None:
                shadow.close()
            capture.close()
            metrics.close()
            log.event("INFO", "processo encerrado")
            log.close()

    # FastAPI's own /docs loads its scripts from the internet.
    app = FastAPIOffline(
        redoc_url=None,
        title=settings.model_name,
        lifespan=lifespan,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
    )
    router = build_router(follower, capture, settings.model_alias, shadow)
    app.include_router(router)
    predict = PredictEndpoint(follower, batcher, settings.max_body_bytes)
    invocations = InvocationsEndpoint(follower, batcher, settings.max_body_bytes)
    app.router.routes += [
        Route("/predict", predict, methods=["POST"]),
        Route("/invocations", invocations, methods=["POST"]),
        Route("/ping", PingEndpoint(follower), methods=["GET"]),
        Route("/version", mlflow_version, methods=["GET"]),
        scrape_route(metrics),
        *panel_routes(
            registry,
            gatherer(settings, follower, capture, shadow, metrics, HistoryReader(registry)),
        ),
    ]
    app.add_exception_handler(HTTPException, _hand_over)
    routes = [*app.routes, *router.routes]
    # In place of FastAPI's outer layers, which would watch every message for what ours answers.
    app.middleware_stack = RequestMiddleware(
        ExceptionMiddleware(AsyncExitStackMiddleware(app.router), app.exception_handlers),
        log=log,
        keys=ApiKeys(settings.api_key_digests),
        paths=frozenset(path for route in routes if (path := getattr(route, "path", None))),
        # The router would cost as much again as all the rest of a small request.
        hot={("POST", "/predict"): predict},
        observe=metrics.request,
    )
    app.openapi = lambda: _openapi(app, follower, settings)  # type: ignore[method-assign]
    return app


def app_from_environment() -> FastAPI:
    """Return the proxy for this process's environment; the server calls it in each worker."""
    share_one_arena()
    # A thread that polls the registry or loads a version lets requests in after this long.
    sys.setswitchinterval(_SWITCH_SECONDS)
    return create_app(Settings.from_env())


def _openapi(app: FastAPI, follower: Follower, settings: Settings) -> dict[str, Any]:
    """Describe the API as it is now: a flip may change what `/predict` takes."""
    served = follower.served
    document = get_openapi(
        title=app.title,
        version=served.release if served else "0",
        routes=app.routes,
        description="Proxy de um modelo registrado no MLflow.",
    )
    contract = served.version.contract if served else None
    keyed = bool(settings.api_key_digests)
    threshold = served.threshold if served else None
    return complete(document, contract, threshold, settings.max_instances, keyed)


def _hand_over(_: Request, exc: Exception) -> NoReturn:
    """Turn the router's own refusals into ours, which the middleware answers."""
    assert isinstance(exc, HTTPException)  # noqa: S101 (what the handler is registered for)
    raise RouteError(exc.status_code, exc.headers) from None
