"""A starting worker waits for its model, longer if another worker serves it."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serving.config.settings import Settings
from serving.deployment import deployment as module
from serving.deployment.deployment import Deployment
from serving.metrics.counters import Metrics
from serving.telemetry.logs import JsonLog
from tests.live import ROOT
from tests.wrong_servers import WrongServer

SERVED = ("machine", "champion", "v1.0.0", "1", "registry")
NOTHING = ("", "champion", "", "", "")


def sibling(folder: Path, labels: tuple[str, ...]) -> Metrics:
    """Return the started metrics of another worker that publishes these labels."""
    made = Metrics(folder, lambda: {"serving_workers": {labels: 1}})
    made.start()
    return made


def test_only_a_living_worker_with_a_model_that_takes_requests_serves(
    tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    """A worker that is starting, has no model, or has ended does not count as serving."""
    mine = Metrics(tmp_path, dict)
    other = sibling(tmp_path, SERVED)
    empty = sibling(tmp_path, NOTHING)
    empty.serving()
    eventually(lambda: len(mine.siblings()) == 2)
    eventually(lambda: any(_lived(one.numbers) for one in mine.siblings()))
    assert not mine.others_serve("machine")
    other.serving()
    eventually(lambda: mine.others_serve("machine"))
    assert not mine.others_serve("another")
    other.close()
    assert not mine.others_serve("machine")
    empty.close()


def _lived(numbers: Any) -> float:
    ((_labels, seconds),) = numbers["serving_lived_seconds"]
    return float(seconds)


@pytest.mark.server
def test_a_worker_that_starts_beside_one_that_serves_refuses_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eventually: Callable[..., Any]
) -> None:
    """Alone, the worker's wait times out; beside a serving worker it waits until it has a model."""
    monkeypatch.setattr(module, "_FIRST_LOOK_SECONDS", 0.05)
    settings = Settings(
        model_name="machine", inference_store=tmp_path / "store", log_file=tmp_path / "app.log"
    )
    mine = Metrics(tmp_path, dict)
    made = Deployment(settings, JsonLog(settings.log_file), mine)
    made._wait_for_version()  # no other worker serves
    other = sibling(tmp_path, SERVED)
    other.serving()
    eventually(lambda: mine.others_serve("machine"))
    asked, others_serve = threading.Semaphore(0), mine.others_serve

    def noted(model: str) -> bool:
        asked.release()
        return others_serve(model)

    monkeypatch.setattr(mine, "others_serve", noted)
    made.follower.looked.set()  # the first look gave no model
    waiting = threading.Thread(target=made._wait_for_version, daemon=True)
    waiting.start()
    for _ in range(3):  # it has checked the other workers and waits again
        assert asked.acquire(timeout=60)
    assert waiting.is_alive()
    made.follower.served = object()  # type: ignore[assignment]
    waiting.join(60)
    assert not waiting.is_alive()
    other.close()


@pytest.mark.slow
@pytest.mark.server
def test_a_starting_worker_ends_when_told_to(
    tmp_path: Path, free_port: Callable[[], int], eventually: Callable[..., Any]
) -> None:
    """SIGTERM during a first look at an unresponsive MLflow ends the process before the timeout."""
    over = threading.Event()
    silent = WrongServer(lambda _request: over.wait())
    threading.Thread(target=silent.serve_forever, args=(0.02,), daemon=True).start()
    # The look's timeout exceeds this test's wait for the process's end.
    patient = "from core.mlflow_client import client; client.CALL_SECONDS = 600.0"
    serve = f"{patient}; from serving.__main__ import main; main(['--port', '{free_port()}'])"
    environ = {
        **os.environ,
        "MLFLOW_TRACKING_URI": silent.uri,
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "600",
        "INFERENCE_STORE": str(tmp_path / "store"),
        "LOG_FILE": str(tmp_path / "app.log"),
        "MODEL_CACHE": str(tmp_path / "cache"),
    }
    with subprocess.Popen([sys.executable, "-c", serve], cwd=ROOT, env=environ) as process:
        try:
            eventually(lambda: silent.asked, 60)
            process.terminate()
            assert process.wait(60) == 0
        finally:
            process.kill()
            over.set()
            silent.shutdown()
            silent.server_close()
