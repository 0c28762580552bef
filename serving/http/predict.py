"""`POST /predict`: read the body, validate, score, capture, respond.

Plain ASGI: a framework's body parsing and response building would cost more than the model.
"""

import asyncio
import json

import msgspec
from starlette.types import Receive, Scope, Send

from serving.deployment.deployment import Deployment
from serving.engine.batcher import Batcher
from serving.engine.job import Job
from serving.errors import InvalidInstances
from serving.http.bodies import INLINE_BYTES, Bodies, bodies_of, read_body
from serving.http.middleware import send_json
from serving.model.loading import LoadedVersion
from serving.protocol.instances import Instances
from serving.protocol.outputs import named_row
from serving.protocol.validation import Validator, decode


class PredictEndpoint:
    """Endpoint that scores with the version that is served when the body has arrived."""

    def __init__(self, deployment: Deployment, batcher: Batcher) -> None:
        """Keep the deployment's parts; `batcher` is its batcher for requests or for lists."""
        self._follower, self._limit = deployment.follower, deployment.settings.max_body_bytes
        self._deployment, self._batcher = deployment, batcher
        self._ignore = deployment.settings.unknown_fields == "ignore"
        self._encoder = msgspec.json.Encoder()
        self._one_reads = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; every error is raised to the middleware."""
        context = scope["context"]
        self._batcher.admit(0)
        body = await read_body(scope, receive, self._limit)
        model = self._follower.current()
        context.model_version = model.release
        instances = await self._read_in_turn(model.version, body, bodies_of(scope))
        context.n_instances = len(instances.rows)
        self._batcher.admit(len(instances.rows))
        job = await self._deployment.answer(Job(model, instances, context), self._batcher)
        predictions = prediction_rows(job)
        if instances.explain:
            found = await self._batcher.explain(job)
            for prediction, effects in zip(predictions, found, strict=True):
                prediction["explanation"] = effects
        await send_json(200, self._encoder.encode(answer(job, predictions)), send)

    async def _read_in_turn(self, version: LoadedVersion, body: bytes, bodies: Bodies) -> Instances:
        """Parse a body; of long ones, one per iteration of the event loop.

        Long bodies that arrive together would otherwise block small requests.
        """
        if len(body) <= INLINE_BYTES:
            return self._read(version, body)
        with bodies.waiting(body):
            async with self._one_reads:
                await asyncio.sleep(0)
                self._batcher.admit(0)
                return self._read(version, body)

    def _read(self, version: LoadedVersion, body: bytes) -> Instances:
        try:
            return version.reader.read(body)
        except InvalidInstances:
            if not self._ignore:
                raise
        known, left_out = _known_fields(body, version.validator)
        instances = version.reader.read(known)
        self._deployment.ignored_fields += left_out
        return instances


def _known_fields(body: bytes, validator: Validator) -> tuple[bytes, int]:
    """Return a body with known fields only, and how many were dropped; raises MalformedBody."""
    document = decode(body)
    if not isinstance(document, dict) or not isinstance(document.get("instances"), list):
        return body, 0
    instances, left_out = validator.known_fields(document["instances"])
    # Not msgspec's encoder: it writes NaN as null, and NaN must be reported to the client.
    return json.dumps({**document, "instances": instances}).encode() if left_out else body, left_out


def prediction_rows(job: Job) -> list[dict[str, object]]:
    """Return the outputs of a scored job under the contract's names."""
    contract = job.model.version.contract
    if contract.outputs:
        return [named_row(row, contract.outputs) for row in job.outputs()]
    score_name, label_name = contract.score_name, contract.label_name
    return [
        {score_name: score, label_name: label}
        for score, label in zip(job.scores, job.labels, strict=True)
    ]


def answer(job: Job, predictions: list[dict[str, object]]) -> dict[str, object]:
    """Return the body of a job's response; each prediction also names the release."""
    release = job.model.release
    for prediction in predictions:
        prediction["model_version"] = release
    return {
        "predictions": predictions,
        "model_version": release,
        "threshold": job.model.threshold,
        "request_id": job.context.request_id,
        "processing_time_ms": job.context.elapsed_ms(),
    }
