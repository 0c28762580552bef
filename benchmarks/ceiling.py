"""The ceiling: our own app with routes that decode the same body and respond without a prediction.

`python -m benchmarks.ceiling --port 8000 --size 230`: same server, same middleware, same decoding;
no model, no journal, no log line. `/ceiling` goes through the app's router like any other route;
`/bare` bypasses it, as `/predict` does.
"""

import argparse
import os
from typing import Any

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

_SIZE = "CEILING_SIZE"


class Ceiling:
    """An endpoint whose response to a valid body has the size of a prediction's response."""

    def __init__(self, reader: Any, size: int, limit: int) -> None:
        """Keep the reader and build the response."""
        self._reader, self._limit = reader, limit
        self._answer = b'{"x":"' + b"0" * max(0, size - 8) + b'"}'

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Decode the body and send the response."""
        from serving.http.middleware import send_json
        from serving.http.predict import read_body

        self._reader.read(await read_body(scope, receive, self._limit))
        await send_json(200, self._answer, send)


def build() -> Any:
    """Return our app with the routes `/ceiling` and `/bare`, without its request log."""
    from mlflow_project.dataset.risk import build_contract
    from serving.app import create_app
    from serving.config.settings import Settings
    from serving.protocol.decoder import InstanceReader
    from serving.telemetry.logs import JsonLog

    JsonLog.request = lambda *_: None  # type: ignore[method-assign]
    settings = Settings.from_env()
    app = create_app(settings)
    reader = InstanceReader(build_contract("v1.0.0", 0.5, {}, 0.5), settings.max_instances)
    ceiling = Ceiling(reader, int(os.environ[_SIZE]), settings.max_body_bytes)
    app.router.routes.append(Route("/ceiling", ceiling, methods=["POST"]))
    app.middleware_stack.hot["POST", "/bare"] = ceiling  # type: ignore[union-attr]
    return app


def main() -> None:
    """Serve the ceiling until a signal stops it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--size", type=int, default=230)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ[_SIZE] = str(options.size)
    import uvicorn

    uvicorn.run(
        "benchmarks.ceiling:build",
        factory=True,
        port=options.port,
        workers=options.workers,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        server_header=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
