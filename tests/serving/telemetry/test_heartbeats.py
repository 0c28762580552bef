"""Hung threads and constant failures are reported by `/health`, `/painel` and `/metrics`."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.files.locks import locked
from core.mlflow_client.client import CALL_SECONDS
from serving.capture import conversion, recorder
from serving.following import follower, shared_lookup
from serving.metrics import counters, slo
from tests.live import eventually

ROW = {"temperature": 21.5, "pressure": 1003.25, "wear": 2}
Start = Callable[..., Any]
Register = Callable[..., int]


def converters() -> list[int]:
    """Return the pids of this process's conversion processes."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = (path / "stat").read_text().rpartition(")")[2].split()[1]
            command = (path / "cmdline").read_bytes()
            if parent == str(os.getpid()) and b"serving.capture.conversion" in command:
                found.append(int(path.name))
    return found


def reasons(proxy: Any) -> str:
    """Return the reasons of a degraded `/health` as one text, empty if it is healthy."""
    health = proxy.health()
    return " / ".join(health["reasons"]) if health["status"] == "degraded" else ""


def metric(proxy: Any, name: str) -> float:
    """Return the value of the first line of `/metrics` that begins with `name`."""
    lines = proxy.http.get("/metrics").text.splitlines()
    return float(next(line for line in lines if line.startswith(name)).rpartition(" ")[2])


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the process in /proc")
def test_a_stopped_conversion_is_said_ended_and_tried_again(
    register_version: Register,
    new_model: Callable[[], str],
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A conversion stopped by SIGSTOP is reported, killed and repeated; no row is lost."""
    monkeypatch.setattr(conversion, "CONVERSION_SECONDS", 5.0)
    monkeypatch.setattr(recorder, "_OLDEST_SECONDS", 2.0)
    name = new_model()
    register_version(name)
    proxy = start(name, capture_flush_seconds=0.3).wait_ready()
    stopped: list[int] = []

    def stop_all() -> None:
        while not stopped:
            for pid in converters():
                os.kill(pid, signal.SIGSTOP)
                stopped.append(pid)
            time.sleep(0.002)

    watcher = threading.Thread(target=stop_all, daemon=True)
    watcher.start()
    assert proxy.predict(ROW).status_code == 200
    watcher.join(30)
    assert stopped, "no conversion started"
    eventually(lambda: "conversion" in reasons(proxy))
    assert 'serving_heartbeat_age_seconds{part="conversion"}' in proxy.http.get("/metrics").text
    assert metric(proxy, "serving_degraded_workers") == 1
    assert "esperam há" in reasons(proxy)
    assert metric(proxy, "capture_oldest_pending_seconds") > 2
    assert proxy.predict(ROW).status_code == 200
    eventually(lambda: "foi encerrada" in reasons(proxy))
    assert not [pid for pid in stopped if pid in converters()]
    expected = {"status": "healthy", "capture": {"captured": 2, "pending": 0, "lost": 0}}
    eventually(lambda: proxy.health().items() >= expected.items(), 60)
    assert sum(len(pd.read_parquet(path)) for path in proxy.parquet()) == 2
    assert metric(proxy, "capture_oldest_pending_seconds") == 0


def test_hung_metrics_are_said(
    register_version: Register,
    new_model: Callable[[], str],
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """A metrics thread blocked by a lock on its file is reported until the lock is released."""
    monkeypatch.setattr(counters, "SILENT_SECONDS", 1.5)
    name = new_model()
    register_version(name)
    workers = tmp_path / "workers"
    workers.mkdir()
    proxy = start(name, workers_dir=workers).wait_ready()
    (published,) = eventually(lambda: list(workers.glob("*.json")))
    with locked(published.with_name(f".{published.name}.tmp")):
        eventually(lambda: "metrics" in reasons(proxy))
        assert metric(proxy, 'serving_heartbeat_age_seconds{part="metrics"}') > 1.5
        assert "parte metrics" in proxy.http.get("/painel").text
        # A sibling detects it by the age of the published numbers.
        numbers = counters.Metrics(workers, dict).siblings()[0].numbers
        assert numbers["serving_degraded_workers"] == [[[], 1]]
    proxy.wait_for(status="healthy")


def test_hung_following_is_said(
    register_version: Register,
    new_model: Callable[[], str],
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A follower blocked by the cache's lock is reported; the served version keeps serving."""
    monkeypatch.setattr(follower, "_LOAD_SECONDS", 1.5)
    name = new_model()
    register_version(name)
    proxy = start(name).wait_ready()
    (folder,) = eventually(lambda: list(proxy.settings.model_cache.glob("*")))
    with locked(folder / "lock"):
        register_version(name, "v1.1.0", seed=3)
        eventually(lambda: "following" in reasons(proxy))
        assert proxy.predict(ROW).json()["model_version"] == "v1.0.0"
    proxy.wait_for(status="healthy", model_version="v1.1.0")


@contextmanager
def stopped_holder(path: Path) -> Iterator[None]:
    """Run a process, stopped by SIGSTOP, that holds the lock of a file."""
    text = "import fcntl,sys,time; f=open(sys.argv[1],'r+'); fcntl.flock(f,2); print(1,flush=True)"
    command = [sys.executable, "-c", f"{text}; time.sleep(120)", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.kill()


def test_a_stopped_worker_stops_no_other_from_following(
    register_version: Register,
    new_model: Callable[[], str],
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Workers wait for a stopped worker's alias query for a limited time, then query themselves."""
    assert CALL_SECONDS < shared_lookup._PATIENCE_SECONDS < follower._LOOK_SECONDS
    monkeypatch.setattr(shared_lookup, "_PATIENCE_SECONDS", 0.5)
    name = new_model()
    register_version(name)
    proxy = start(name, workers_dir=tmp_path).wait_ready()
    with stopped_holder(tmp_path / "alias-champion.look"):
        register_version(name, "v1.1.0", seed=3)
        proxy.wait_for(status="healthy", model_version="v1.1.0")


def test_a_model_that_fails_every_request_is_said(
    mlflow_server: str, new_model: Callable[[], str], start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Health is degraded while all requests fail with 500, until one succeeds or time passes."""
    import mlflow
    from mlflow.models import infer_signature
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    frame = pd.DataFrame({"x": np.linspace(0, 1e-9, 20)})
    model = make_pipeline(StandardScaler(), LinearRegression()).fit(frame, frame["x"])
    name = new_model()
    signature = infer_signature(frame, frame["x"])
    mlflow.sklearn.log_model(
        model, name="model", registered_model_name=name, signature=signature,
        serialization_format="skops", pip_requirements=[],
    )  # fmt: skip
    mlflow.MlflowClient(mlflow_server).set_registered_model_alias(name, "champion", "1")
    proxy = start(name).wait_ready()
    huge = {"x": 1e308}  # the scaler returns infinity, which the regression refuses
    for _ in range(3):
        assert proxy.predict(huge).status_code == 500
    eventually(lambda: "500" in reasons(proxy))
    assert metric(proxy, "serving_degraded_workers") == 1
    assert "500" in proxy.http.get("/painel").text
    assert proxy.predict({"x": 1e-9}).status_code == 200
    proxy.wait_for(status="healthy")
    proxy.predict(huge)
    eventually(lambda: "500" in reasons(proxy))
    monkeypatch.setattr(slo, "_FAILING_SECONDS", 0.0)  # as if the failure's period had expired
    assert proxy.health()["status"] == "healthy"
