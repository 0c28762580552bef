"""Wrong servers that a test may start."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.wrong_servers import Serve, WrongServer


@pytest.fixture(scope="session", autouse=True)
def _mlflow() -> None:
    """Import MLflow once, before any clock runs."""
    import mlflow

    assert mlflow


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that starts a wrong server; all are stopped after the test."""
    with ExitStack() as stack:

        def start(answer: Callable[[Any], None]) -> WrongServer:
            server = WrongServer(answer)
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            return server

        yield start
