"""`POST /predict`: read the body, validate, score, record, answer.

Plain ASGI: a framework's own body parsing and answer building would cost more than the model.
"""

import asyncio

import msgspec
from starlette.types import Receive, Scope, Send

from serving.deployment.deployment import Deployment
from serving.engine.job import Job
from serving.errors import BodyTooLarge, BodyTooSlow, InvalidInstances, UnsupportedEncoding
from serving.http.middleware import send_json
from serving.model.loading import LoadedVersion
from serving.protocol.instances import Instances
from serving.protocol.outputs import named_row
from serving.protocol.unknown import body_without_unknown

BODY_SECONDS = 30.0
"""Longest time that a body may take to arrive, so that idle senders do not pile up."""


class PredictEndpoint:
    """Answers with the scores of the version that is served when the body has arrived."""

    def __init__(self, deployment: Deployment) -> None:
        """Keep the parts that answer."""
        self._follower, self._limit = deployment.follower, deployment.settings.max_body_bytes
        self._batcher = deployment.batcher
        self._deployment = deployment
        self._ignore = deployment.settings.predict_leaves_out
        self._encoder = msgspec.json.Encoder()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; every error goes to the middleware."""
        context = scope["context"]
        self._batcher.admit(0)
        body = await read_body(scope, receive, self._limit)
        model = self._follower.current()
        context.model_version = model.release
        instances = self._read(model.version, body)
        context.n_instances = len(instances.rows)
        self._batcher.admit(len(instances.rows))
        job = await self._deployment.answer(Job(model, instances, context), self._batcher)
        predictions = prediction_rows(job)
        if instances.explain:
            found = await self._batcher.explain(job)
            for prediction, effects in zip(predictions, found, strict=True):
                prediction["explanation"] = effects
        await send_json(200, self._encoder.encode(answer(job, predictions)), send)

    def _read(self, version: LoadedVersion, body: bytes) -> Instances:
        try:
            return version.reader.read(body)
        except InvalidInstances:
            if not self._ignore:
                raise
        known, left_out = body_without_unknown(body, version.validator)
        instances = version.reader.read(known)
        self._deployment.ignored_fields += left_out
        return instances


class BatchPredictEndpoint(PredictEndpoint):
    """The same for a command that makes a list: captured with the role `batch`, in no one's way."""

    def __init__(self, deployment: Deployment) -> None:
        """Score by the engine of lists."""
        super().__init__(deployment)
        self._batcher = deployment.batch


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
    """Return the body of a job's answer; each prediction also names the release."""
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


def stated_length(scope: Scope) -> int:
    """Return what a request says of the length of its body, in bytes; 0 where it says nothing."""
    said = (value for name, value in scope["headers"] if name == b"content-length")
    return max((int(value) for value in said if value.isdigit()), default=0)


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """Return the whole body.

    Raises:
        UnsupportedEncoding: it is compressed.
        BodyTooLarge: it is longer than `limit` bytes, said or found; the rest is not read.
        BodyTooSlow: it has not come whole within `BODY_SECONDS`.
    """
    if stated_length(scope) > limit:
        raise BodyTooLarge(limit=limit)
    for name, value in scope["headers"]:
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            raise UnsupportedEncoding
    try:
        async with asyncio.timeout(BODY_SECONDS):
            message = await receive()
            body: bytes = message.get("body", b"")
            while message.get("more_body", False) and len(body) <= limit:
                message = await receive()
                body += message.get("body", b"")
    except TimeoutError:
        raise BodyTooSlow(seconds=BODY_SECONDS) from None
    if len(body) > limit:
        raise BodyTooLarge(limit=limit)
    return body
