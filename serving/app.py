"""Application factory; its lifespan starts and stops the background threads."""

import asyncio
import multiprocessing
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NoReturn

from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.routing import Route

from core.cli.parent import end_with_parent
from core.cli.signals import also_tells
from core.messages import N_, _
from serving.config.model_paths import prefix_of
from serving.config.settings import Settings
from serving.deployment.deployment import Deployment
from serving.deployment.gauges import gauges
from serving.documents.page import document_routes
from serving.errors import RouteError
from serving.http.auth import ApiKeys
from serving.http.bodies import Bodies
from serving.http.connections import Connections, room_for
from serving.http.invocations import InvocationsEndpoint, mlflow_version, ping_route
from serving.http.middleware import RequestMiddleware
from serving.http.openapi import describe
from serving.http.pages import TextRoute, pages_of
from serving.http.predict import PredictEndpoint
from serving.http.status import add_models, add_status
from serving.lists.endpoint import list_route
from serving.metrics.counters import Metrics
from serving.metrics.exposition import scrape_endpoint
from serving.metrics.kept import KeptLevels
from serving.panel.page import panel_routes
from serving.telemetry.logs import JsonLog
from serving.telemetry.memory import share_one_arena

_SWITCH_SECONDS = 0.0001
"""GIL switch interval: longest wait of the event loop for a thread, at nearly each socket call."""
_END_SECONDS = 120.0
"""Longest time that a worker drains and converts after its master process has ended."""
_SCORING = (PredictEndpoint, InvocationsEndpoint)
_NO_TELEMETRY: Any = {"tracing": False, "metrics": False, "logs": False}


def create_app(settings: Settings) -> FastAPI:
    """Return the proxy for `settings`; nothing is read, opened or started before its lifespan."""
    log = JsonLog(settings.log_file)
    room, _backlog = room_for(settings.max_connections)
    models, bodies = settings.each_model(), Bodies()
    metrics = Metrics(
        settings.workers_dir,
        lambda: gauges(deployments, bodies.shed),
        lambda: main.follower.served is not None,
        KeptLevels(models[0].kept_levels),
    )
    deployments = [Deployment(one, log, metrics) for one in models]
    main, *others = deployments
    # Lifespan state, read by the protocol of each connection and by the body readers.
    state = {"connections": Connections(room, metrics.closed), "bodies": bodies}
    # FastAPI's own /docs loads its scripts from the internet.
    app = FastAPIOffline(
        redoc_url=None,
        title=main.name,
        lifespan=_lifespan(log, metrics, deployments, state),
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
    )
    add_status(app, main, others)
    add_models(app, deployments)
    routes = [
        TextRoute("/version", mlflow_version, "version", N_("Version of MLflow"), "text/plain"),
        TextRoute(
            "/metrics",
            scrape_endpoint(metrics),
            "metrics",
            N_("Metrics for Prometheus"),
            "text/plain",
        ),
        *document_routes(),
        *_routes_of(main, metrics, others),
    ]
    for one in deployments if settings.models else ():
        prefix = prefix_of(one.name)
        add_status(app, one, prefix=prefix)
        routes += _under(prefix, _routes_of(one, metrics))
    app.router.routes += routes
    app.add_exception_handler(HTTPException, _hand_over)
    # Replaces FastAPI's outer layers, which would wrap every message for errors handled here.
    app.middleware_stack = RequestMiddleware(
        ExceptionMiddleware(AsyncExitStackMiddleware(app.router), app.exception_handlers),
        log=log,
        keys=ApiKeys(settings.api_keys, pages_of(app.routes)),
        paths={path for route in app.routes if (path := getattr(route, "path", None))},
        # Routing would double the cost of a small request.
        hot={("POST", r.path): r.endpoint for r in routes if isinstance(r.endpoint, _SCORING)},
        observe=metrics.request,
        root=settings.root_path,
        client=settings.log_client,
    )
    # A flip may change the schema of `/predict`, so the document is rebuilt for each request.
    app.openapi = lambda: describe(app, deployments)  # type: ignore[method-assign]
    return app


def _routes_of(
    deployment: Deployment, metrics: Metrics, others: Sequence[Deployment] = ()
) -> list[Route]:
    """Return the routes of one model without a prefix, as for the first or only model."""
    return [
        Route("/predict", PredictEndpoint(deployment, deployment.batcher), methods=["POST"]),
        Route("/predict/batch", PredictEndpoint(deployment, deployment.batch), methods=["POST"]),
        Route("/invocations", InvocationsEndpoint(deployment), methods=["POST"]),
        ping_route(deployment),
        *panel_routes(deployment, metrics, others),
        list_route(deployment),
    ]


def _under(prefix: str, routes: Sequence[Route]) -> list[Route]:
    """Return these routes, and those of the documents that their pages link to, under a prefix."""
    return [
        Route(prefix + one.path, one.endpoint, methods=list(one.methods or ()))
        for one in (*routes, *document_routes())
    ]


def app_from_environment() -> FastAPI:
    """Return the proxy for this process's environment; uvicorn calls it in each worker."""
    if (master := multiprocessing.parent_process()) is not None and master.pid is not None:
        # Accepted requests are served first, as in any shutdown; a worker that hangs gets SIGKILL.
        end_with_parent(master.pid, signal.SIGTERM, _END_SECONDS)
    share_one_arena()
    # A thread that polls the registry or loads a version yields the GIL after this long.
    sys.setswitchinterval(_SWITCH_SECONDS)
    return create_app(Settings.from_env())


def _lifespan(
    log: JsonLog, metrics: Metrics, deployments: Sequence[Deployment], state: dict[str, Any]
) -> Any:
    """Return the lifespan that starts the parts, stops them in reverse, and yields `state`."""

    def end() -> None:
        for deployment in deployments:
            deployment.stop()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        metrics.start()
        # uvicorn acts on signals only after startup.
        with also_tells(end):
            await asyncio.gather(*(deployment.start() for deployment in deployments))
        metrics.serving()
        try:
            yield state
        finally:
            end()
            for deployment in deployments:
                deployment.close()
            metrics.close()
            log.event("INFO", _("process ended"))
            log.close()

    return lifespan


def _hand_over(_request: Request, exc: Any) -> NoReturn:
    """Raise RouteError for the router's `HTTPException`: the middleware sends the response."""
    raise RouteError(exc.status_code, exc.headers) from None
