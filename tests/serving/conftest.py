"""A running proxy: in a thread for most tests, in a child process where a test kills it."""

import itertools
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from serving.app import create_app
from serving.config.settings import Settings
from serving.http.connections import LimitedProtocol
from tests.live import Gate, eventually

ROOT = Path(__file__).resolve().parents[2]
ROW = {"temperature": 21.5, "pressure": 1003.25, "wear": 2}
_NUMBERS = itertools.count(1)


@dataclass
class Proxy:
    """A proxy's HTTP client and the settings with its file locations."""

    http: httpx.Client
    settings: Settings

    def predict(self, *rows: dict[str, Any], **options: Any) -> httpx.Response:
        """Return the response of /predict to rows."""
        return self.http.post("/predict", json={"instances": rows}, **options)

    def health(self) -> dict[str, Any]:
        """Return the body of /health."""
        return self.http.get("/health").json()

    def wait_ready(self) -> "Proxy":
        """Wait until /ready returns 200; return the proxy."""
        eventually(lambda: self.http.get("/ready").status_code == 200, 60)
        return self

    def wait_for(self, **expected: Any) -> dict[str, Any]:
        """Wait until /health has the expected fields; return its body."""
        return eventually(lambda: (h := self.health()).items() >= expected.items() and h)

    def log(self) -> list[dict[str, Any]]:
        """Return the log's entries."""
        text = self.settings.log_file.read_text("utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def journals(self) -> list[Path]:
        """Return the paths of the journals."""
        return sorted(self.settings.journal_dir.glob("*.jsonl"))

    def parquet(self) -> list[Path]:
        """Return the paths of the captured Parquet files."""
        return sorted(self.settings.inference_store.glob("*.parquet"))


@contextmanager
def threaded(settings: Settings) -> Iterator[Proxy]:
    """Run a proxy in a thread of this process on a free port; yield it when it is started."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(128)
        config = uvicorn.Config(
            create_app(settings), http=LimitedProtocol, log_level="warning", access_log=False
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        try:
            with httpx.Client(base_url=url, timeout=20) as client:
                yield Proxy(client, settings)
        finally:
            server.should_exit = True
            thread.join(30)


@contextmanager
def spawned(settings: Settings, port: int, *arguments: str, **environ: str) -> Iterator[Any]:
    """Run `python -m serving` in a process group of its own; yield the process and its proxy."""
    variables = {
        "MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
        "MODEL_NAME": settings.model_name,
        "POLL_SECONDS": str(settings.poll_seconds),
        "INFERENCE_STORE": str(settings.inference_store),
        "CAPTURE_FLUSH_SECONDS": str(settings.capture_flush_seconds),
        "JOURNAL_DIR": str(settings.journal_dir),
        "LOG_FILE": str(settings.log_file),
        "MODEL_CACHE": str(settings.model_cache),
        **environ,
    }
    command = [sys.executable, "-m", "serving", "--port", str(port), *arguments]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **variables}, start_new_session=True
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            yield process, Proxy(client, settings)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(40)


@pytest.fixture(name="threaded", scope="session")
def threaded_fixture() -> Callable[..., Any]:
    """Return the context manager that runs a proxy in a thread."""
    return threaded


@pytest.fixture(name="spawned", scope="session")
def spawned_fixture() -> Callable[..., Any]:
    """Return the context manager that runs a proxy in a child process."""
    return spawned


@pytest.fixture(name="eventually", scope="session")
def eventually_fixture() -> Callable[..., Any]:
    """Return a function that waits for a check to become true."""
    return eventually


@pytest.fixture
def new_model() -> Callable[[], str]:
    """Return a function that returns a new name for a registered model."""
    return lambda: f"machine-{next(_NUMBERS)}-{os.getpid()}"


@pytest.fixture
def two_workers(
    register_version: Callable[..., int],
    new_model: Callable[[], str],
    settings_for: Callable[..., Settings],
    free_port: Callable[[], int],
) -> Callable[..., Any]:
    """Return a function that runs a proxy with two workers in a child process, on a new model."""

    def run(**changes: Any) -> Any:
        name = new_model()
        register_version(name)
        return spawned(settings_for(name, **changes), free_port(), "--workers", "2")

    return run


@pytest.fixture
def gate(mlflow_server: str, free_port: Callable[[], int]) -> Iterator[Gate]:
    """Yield an open gate to the MLflow server."""
    gate = Gate(mlflow_server, free_port())
    gate.open()
    yield gate
    gate.shut()
    import mlflow

    mlflow.set_tracking_uri(mlflow_server)


@pytest.fixture
def settings_for(mlflow_server: str, tmp_path: Path) -> Callable[..., Settings]:
    """Return a function that returns settings for a model, with this test's folders."""

    def make(name: str, **changes: Any) -> Settings:
        settings = Settings(
            mlflow_tracking_uri=mlflow_server,
            model_name=name,
            poll_seconds=0.25,
            inference_store=tmp_path / "store",
            journal_dir=tmp_path / "store" / "journal",
            capture_flush_seconds=60,
            log_file=tmp_path / "logs" / "app.log",
            model_cache=tmp_path / "cache",
        )
        return settings.model_copy(update=changes)

    return make


@pytest.fixture
def start(settings_for: Callable[..., Settings]) -> Iterator[Callable[..., Proxy]]:
    """Yield a function that starts a proxy for a model; all are stopped after the test."""
    with ExitStack() as stack:
        yield lambda name, **changes: stack.enter_context(threaded(settings_for(name, **changes)))


@pytest.fixture(scope="module")
def proxy(
    request: pytest.FixtureRequest,
    mlflow_server: str,
    register_version: Callable[..., int],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Proxy]:
    """Yield a ready proxy of one version, for tests that only send requests.

    A module that flips the alias sets `POLL_SECONDS`.
    """
    name = f"machine-shared-{next(_NUMBERS)}-{os.getpid()}"
    register_version(name, "v1.2.0", threshold=0.25)
    folder = tmp_path_factory.mktemp("proxy")
    settings = Settings(
        mlflow_tracking_uri=mlflow_server,
        model_name=name,
        poll_seconds=getattr(request.module, "POLL_SECONDS", 5.0),
        inference_store=folder / "store",
        journal_dir=folder / "journal",
        log_file=folder / "app.log",
        model_cache=folder / "cache",
        pseudonym_key="k",
        max_instances=300,
        max_invocations_rows=1000,
        max_body_bytes=200_000,
    )
    with threaded(settings) as running:
        yield running.wait_ready()
