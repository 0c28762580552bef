"""The application: the parts, put together; the lifespan starts and ends what runs beside it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NoReturn

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route

from serving.auth import ApiKeys
from serving.batcher import Batcher
from serving.capture import Capture
from serving.errors import RouteError
from serving.follower import Follower
from serving.logs import JsonLog
from serving.middleware import RequestMiddleware
from serving.openapi import predict_path
from serving.predict import PredictEndpoint
from serving.registry import Registry
from serving.routes import build_router
from serving.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """Return the proxy for `settings`; nothing is read, opened or started before its lifespan."""
    log = JsonLog(settings.log_file)
    registry = Registry(settings.mlflow_tracking_uri, settings.model_name, settings.model_alias)
    follower = Follower(registry, settings, log)
    capture = Capture(settings, log)
    batcher = Batcher(capture.append)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        log.event("INFO", f"processo iniciado; segue {registry.name}@{registry.alias}")
        capture.start()
        follower.start()
        try:
            yield
        finally:
            follower.close()
            batcher.close()
            capture.close()
            log.event("INFO", "processo encerrado")
            log.close()

    app = FastAPI(title=settings.model_name, lifespan=lifespan, redirect_slashes=False)
    router = build_router(follower, capture, settings.model_alias)
    app.include_router(router)
    predict = PredictEndpoint(follower, batcher, settings.max_body_bytes)
    app.router.routes.append(Route("/predict", predict, methods=["POST"]))
    app.add_exception_handler(HTTPException, _hand_over)
    routes = [*app.routes, *router.routes]
    paths = frozenset(path for route in routes if (path := getattr(route, "path", None)))
    keys = ApiKeys(settings.api_key_digests)
    app.add_middleware(RequestMiddleware, log=log, keys=keys, paths=paths)
    app.openapi = lambda: _openapi(app, follower, settings)  # type: ignore[method-assign]
    return app


def app_from_environment() -> FastAPI:
    """Return the proxy for this process's environment; the server calls it in each worker."""
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
    document["paths"]["/predict"] = predict_path(contract, settings.max_instances)
    return document


def _hand_over(_: Request, exc: Exception) -> NoReturn:
    """Turn the router's own refusals into ours, which the middleware answers."""
    assert isinstance(exc, HTTPException)  # noqa: S101 (what the handler is registered for)
    raise RouteError(exc.status_code, exc.headers) from None
