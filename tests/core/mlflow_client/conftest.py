"""Fixtures that start faulty servers."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.wrong_servers import Serve, WrongServer


@pytest.fixture(scope="session", autouse=True)
def _mlflow() -> None:
    """Import MLflow once, before any time is measured."""
    import mlflow

    assert mlflow


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Yield a function that starts a faulty server; all are stopped after the test."""
    with ExitStack() as stack:

        def start(answer: Callable[[Any], None]) -> WrongServer:
            server = WrongServer(answer)
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            return server

        yield start
