"""`/invocations`, `/ping` and `/version`, as MLflow's own scoring server defines them.

A client written for `mlflow models serve` needs no change. Instances are checked by the served
contract, captured and logged like those of `/predict`; errors have the proxy's one shape.
"""

from importlib.metadata import version as installed_version

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serving.deployment.deployment import Deployment
from serving.engine.job import Job
from serving.http.middleware import send_json
from serving.http.predict import read_body
from serving.protocol.instances import Instances
from serving.protocol.mlflow_input import read_instances
from serving.protocol.unknown import without_unknown


class InvocationsEndpoint:
    """Answers `{"predictions": ...}` with the outputs that pyfunc gives, in its shape."""

    def __init__(self, deployment: Deployment) -> None:
        """Keep the parts that answer."""
        self._follower, self._batcher = deployment.follower, deployment.batcher
        self._deployment = deployment
        self._limit = deployment.settings.max_body_bytes
        self._ignore = deployment.settings.invocations_leave_out

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; every error goes to the middleware."""
        context = scope["context"]
        self._batcher.admit(0)
        body = await read_body(scope, receive, self._limit)
        model = self._follower.current()
        context.model_version = model.release
        version = model.version
        kind = next((v for name, v in scope["headers"] if name == b"content-type"), b"")
        read = version.reader.read_frame(body) if kind == b"application/json" else None
        if read is None:
            instances = read_instances(body, kind.decode("latin-1"), version.contract.features)
            left_out = 0
            if self._ignore:
                instances, left_out = without_unknown(instances, version.validator)
            rows, entities, periods = version.validator.read_instances(instances)
            read = Instances(rows, entities, periods=periods)
            self._deployment.ignored_fields += left_out
        job = Job(model, read, context)
        context.n_instances = len(read.rows)
        self._batcher.admit(len(read.rows))
        await self._batcher.score(job)
        await send_json(200, msgspec.json.encode({"predictions": job.outputs()}), send)


async def mlflow_version(_request: Request) -> Response:
    """Answer with the version of MLflow.

    The body is what MLflow's server sends; that one calls it JSON, which it is not.
    """
    return Response(installed_version("mlflow"), media_type="text/plain")


class PingEndpoint:
    """200 with a model, 404 without one: what MLflow's server answers."""

    def __init__(self, deployment: Deployment) -> None:
        """Keep what knows whether there is a model."""
        self._follower = deployment.follower

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        status = 404 if self._follower.served is None else 200
        await Response("\n", status, media_type="text/plain")(scope, receive, send)
