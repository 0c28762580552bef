"""`/invocations`, `/ping` and `/version`, as MLflow's own scoring server defines them.

A client written for `mlflow models serve` needs no change. Instances are validated by the served
contract, captured and logged like those of `/predict`; errors have the proxy's schema.
"""

import asyncio
from importlib.metadata import version as installed_version

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from core.messages import N_, _
from serving.deployment.deployment import Deployment
from serving.engine.job import Job
from serving.errors import Overloaded
from serving.http.bodies import INLINE_BYTES, bodies_of, read_body, stated_length
from serving.http.middleware import send_json
from serving.http.pages import TextRoute
from serving.model.loading import LoadedVersion
from serving.protocol.frames import refusal
from serving.protocol.instances import Instances
from serving.protocol.mlflow_input import PARQUET, is_json, read_sent
from serving.protocol.params import Params

MOST_LONG = 4
"""Most concurrent requests of a worker with bodies longer than `MAX_BODY_BYTES`."""


class InvocationsEndpoint:
    """Endpoint that returns `{"predictions": ...}` with pyfunc's outputs, in pyfunc's shape."""

    def __init__(self, deployment: Deployment) -> None:
        """Keep the deployment's parts."""
        self._follower, self._batcher = deployment.follower, deployment.batcher
        self._deployment, settings = deployment, deployment.settings
        self._usual = settings.max_body_bytes
        self._longest = max(settings.max_invocations_bytes, settings.max_body_bytes)
        self._most_rows = settings.max_invocations_rows
        self._ignore = settings.unknown_fields != "refuse"
        self._long = 0
        self._one_reads = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; every error is raised to the middleware."""
        self._batcher.admit(0)
        if stated_length(scope) <= self._usual:
            # A body without a Content-Length must keep to the usual limit.
            await self._answer(scope, receive, send, self._usual)
            return
        if self._long >= MOST_LONG:
            self._batcher.shed += 1
            raise Overloaded
        self._long += 1
        try:
            await self._answer(scope, receive, send, self._longest)
        finally:
            self._long -= 1

    async def _answer(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        context = scope["context"]
        body = await read_body(scope, receive, limit)
        model = self._follower.current()
        context.model_version = model.release
        kind = next((v for name, v in scope["headers"] if name == b"content-type"), b"").decode(
            "latin-1"
        )
        if len(body) <= INLINE_BYTES and not kind.startswith(PARQUET):
            read, params, left_out = self._read(model.version, body, kind)
        else:
            with bodies_of(scope).waiting(body):
                async with self._one_reads:
                    read, params, left_out = await asyncio.to_thread(
                        self._read, model.version, body, kind
                    )
        self._deployment.ignored_fields += left_out
        job = Job(model, read, context, params)
        context.n_instances = len(read.rows)
        self._batcher.admit(len(read.rows))
        job = await self._deployment.answer(job, self._batcher)
        await send_json(200, msgspec.json.encode({"predictions": job.outputs()}), send)

    def _read(
        self, version: LoadedVersion, body: bytes, kind: str
    ) -> tuple[Instances, Params | None, int]:
        """Return the rows, the parameters, and how many fields were dropped."""
        exact = version.reader.read_frame(body) if is_json(kind) else None
        if exact is not None:
            return exact, version.params.defaults or None, 0
        sent = read_sent(
            body,
            kind,
            version.contract.features,
            self._most_rows,
            self._longest,
            matrix=version.matrix,
            known_only=self._ignore,
        )
        if sent.others and not self._ignore:
            raise refusal(_("unknown or repeated format"), _("no other keys than these"))
        params = version.params.read(sent.params)
        instances, left_out = list(sent.instances), len(sent.others)
        if self._ignore:
            instances, fields = version.validator.known_fields(instances)
            left_out += fields
        read = version.validator.read_instances(instances, most=self._most_rows)
        return read, params or None, left_out


async def mlflow_version(_request: Request) -> Response:
    """Return the installed version of MLflow.

    The body is that of MLflow's server, which labels it as JSON although it is not.
    """
    return Response(installed_version("mlflow"), media_type="text/plain")


def ping_route(deployment: Deployment) -> Route:
    """Return the route that responds 200 with a model, 404 without, as MLflow's server does."""

    async def ping(_request: Request) -> Response:
        status = 404 if deployment.follower.served is None else 200
        return Response("\n", status, media_type="text/plain")

    return TextRoute("/ping", ping, "ping", N_("200 with a model loaded (MLflow)"), "text/plain")
