"""`POST /predict`: read the body, validate, score, record, answer.

Plain ASGI: a framework's own body parsing and answer building would cost more than the model.
"""

import msgspec
from starlette.types import Receive, Scope, Send

from serving.batcher import Batcher, Job
from serving.errors import BodyTooLarge
from serving.follower import Follower
from serving.middleware import send_json


class PredictEndpoint:
    """Answers with the scores of the version that is served when the body has arrived."""

    def __init__(self, follower: Follower, batcher: Batcher, max_body_bytes: int) -> None:
        """Keep the parts."""
        self._follower, self._batcher, self._limit = follower, batcher, max_body_bytes
        self._encoder = msgspec.json.Encoder()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; every error goes to the middleware."""
        context = scope["context"]
        body = await read_body(scope, receive, self._limit)
        model = self._follower.current()
        context.model_version = model.release
        instances = model.version.reader.read(body)
        context.n_instances = len(instances.rows)
        job = Job(model, instances, context)
        await self._batcher.score(job)
        await send_json(200, self._encoder.encode(answer(job)), send)


def answer(job: Job) -> dict[str, object]:
    """Return the body of a scored job's answer; the outputs bear the contract's names."""
    contract, release = job.model.version.contract, job.model.release
    score_name, label_name = contract.score_name, contract.label_name
    return {
        "predictions": [
            {score_name: score, label_name: label, "model_version": release}
            for score, label in zip(job.scores, job.labels, strict=True)
        ],
        "model_version": release,
        "threshold": job.model.threshold,
        "request_id": job.context.request_id,
        "processing_time_ms": job.context.elapsed_ms(),
    }


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """Return the whole body.

    Raises:
        BodyTooLarge: it is longer than `limit` bytes, said or found; the rest is not read.
    """
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            raise BodyTooLarge(limit)
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body", False):
        if len(body) > limit:
            break
        message = await receive()
        body += message.get("body", b"")
    if len(body) > limit:
        raise BodyTooLarge(limit)
    return body
