"""What is compared: how each server is started, asked, and known to be ready."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.pinned import CHAMPION, PINNED
from benchmarks.processes import ROOT
from mlflow_project.risk import FEATURE_NAMES

PEERS = Path.home() / ".cache" / "serving-peers"
"""Environments of the peers, outside the repository; the first run makes them."""

_INSTALL_SECONDS = 600
_REQUIREMENTS: Mapping[str, tuple[str, ...]] = {
    "mlserver": ("mlserver==1.7.1", "mlserver-sklearn==1.7.1"),
    "bentoml": ("bentoml==1.4.39",),
}
_BENTO = """
import bentoml, joblib, numpy as np

@bentoml.service(workers=1, traffic={"timeout": 30})
class Scoring:
    def __init__(self):
        self.model = joblib.load(r"%s")

    @bentoml.api(batchable=True)
    def predict(self, rows: np.ndarray) -> np.ndarray:
        return self.model.predict_proba(rows)
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A server to measure.

    Attributes:
        command: starts it; `path` takes a POST of `body`, `ready` answers 200 once it can.
    """

    name: str
    command: Sequence[str | Path]
    port: int
    path: str
    ready: str
    body: bytes
    environ: Mapping[str, str] = field(default_factory=dict)
    folder: Path = ROOT

    @property
    def url(self) -> str:
        """Return where predictions are asked for."""
        return f"http://127.0.0.1:{self.port}{self.path}"

    @property
    def ready_url(self) -> str:
        """Return where readiness is asked for."""
        return f"http://127.0.0.1:{self.port}{self.ready}"


class Unavailable(Exception):
    """A peer that cannot be installed here, and why."""


def ours(
    name: str,
    uri: str,
    folder: Path,
    port: int,
    rows: Sequence[Any],
    model: str = PINNED,
    workers: int = 1,
) -> Server:
    """Return our proxy with capture and log on."""
    home = folder / name.replace(" ", "-")
    environ = {
        "MLFLOW_TRACKING_URI": uri,
        "MODEL_NAME": model,
        "INFERENCE_STORE": str(home / "store"),
        "LOG_FILE": str(home / "app.log"),
    }
    command = [_shipped(), "-m", "serving", "--port", str(port), "--workers", str(workers)]
    body = json.dumps({"instances": list(rows)}).encode()
    return Server(name, command, port, "/predict", "/ready", body, environ)


def champion(name: str, uri: str, folder: Path, port: int, rows: Sequence[Any]) -> Server:
    """Return our proxy serving a version as training makes them."""
    return ours(name, uri, folder, port, rows, CHAMPION)


def shadowed(name: str, uri: str, folder: Path, port: int, rows: Sequence[Any]) -> Server:
    """Return our proxy with a challenger that scores the same rows beside the answers."""
    proxy = ours(name, uri, folder, port, rows)
    return replace(proxy, environ={**proxy.environ, "SHADOW_ALIAS": "challenger"})


def ceiling(
    name: str,
    uri: str,
    folder: Path,
    port: int,
    rows: Sequence[Any],
    path: str = "/ceiling",
    workers: int = 1,
) -> Server:
    """Return our app with a route that predicts nothing."""
    proxy = ours(name, uri, folder, port, rows)
    # {"predictions": [...], ...} of one row is about this long.
    command = [
        *(_shipped(), "-m", "benchmarks.ceiling", "--port", str(port), "--size", "220"),
        *("--workers", str(workers)),
    ]
    return Server(name, command, port, path, "/health", proxy.body, proxy.environ)


def mlflow_serve(uri: str, port: int, rows: Sequence[Mapping[str, Any]]) -> Server:
    """Return MLflow's own scoring server."""
    table = {"columns": list(FEATURE_NAMES), "data": [list(row.values()) for row in rows]}
    command = [
        *(_shipped(), "-m", "mlflow", "models", "serve", "--env-manager", "local"),
        *("-m", f"models:/{PINNED}/1", "--port", str(port), "--workers", "1"),
    ]
    body = json.dumps({"dataframe_split": table}).encode()
    # It starts uvicorn by name.
    path = f"{_shipped().parent}:{os.environ['PATH']}"
    environ = {"MLFLOW_TRACKING_URI": uri, "PATH": path}
    return Server("mlflow models serve", command, port, "/invocations", "/ping", body, environ)


def mlserver(model: Path, folder: Path, ports: Sequence[int], rows: Sequence[Any]) -> Server:
    """Return MLServer with its scikit-learn runtime, no process of its own for inference.

    Raises:
        Unavailable: it cannot be installed.
    """
    home = folder / "mlserver"
    home.mkdir()
    settings = {
        "host": "127.0.0.1",
        "http_port": ports[0],
        "grpc_port": ports[1],
        "metrics_port": ports[2],
        "parallel_workers": 0,
        "debug": False,
    }
    (home / "settings.json").write_text(json.dumps(settings))
    described = {
        "name": "pinned",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": str(model)},
    }
    (home / "model-settings.json").write_text(json.dumps(described))
    flat = [value for row in rows for value in row.values()]
    shape = [len(rows), len(FEATURE_NAMES)]
    tensor = {"name": "rows", "shape": shape, "datatype": "FP64", "data": flat}
    body = json.dumps({"inputs": [tensor], "outputs": [{"name": "predict_proba"}]}).encode()
    path = "/v2/models/pinned/infer"
    command: list[str | Path] = [_peer("mlserver") / "bin" / "mlserver", "start", "."]
    return Server("MLServer", command, ports[0], path, "/v2/health/ready", body, {}, home)


def bentoml(model: Path, folder: Path, port: int, rows: Sequence[Any]) -> Server:
    """Return BentoML with adaptive batching.

    Raises:
        Unavailable: it cannot be installed.
    """
    home = folder / "bentoml"
    home.mkdir()
    (home / "service.py").write_text(_BENTO % model)
    program = _peer("bentoml") / "bin" / "bentoml"
    command: list[str | Path] = [program, "serve", "service:Scoring", "--host", "127.0.0.1"]
    command += ["--port", str(port)]
    body = json.dumps({"rows": [list(row.values()) for row in rows]}).encode()
    environ = {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(home)}
    return Server("BentoML", command, port, "/predict", "/readyz", body, environ, home)


@cache
def _shipped() -> Path:
    """Return the interpreter of an environment of what is shipped and nothing else.

    scikit-learn imports pytest where there is one, which would count as a worker's memory.
    """
    lock = ROOT / "requirements.lock"
    name = f"shipped-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    return _environment(name, ["--require-hashes", "-r", lock]) / "bin" / "python"


def _peer(name: str) -> Path:
    """Return a peer's environment; raises `Unavailable`."""
    import sklearn

    return _environment(
        name, [*_REQUIREMENTS[name], f"scikit-learn=={sklearn.__version__}", "joblib"]
    )


def _environment(name: str, wanted: Sequence[str | Path]) -> Path:
    """Return an environment, made when it is missing.

    Raises:
        Unavailable: it could not be made.
    """
    folder = PEERS / name
    ready = folder / "ready"
    if ready.exists():
        return folder
    uv = Path(sys.executable).parent / "uv"
    python = folder / "bin" / "python"
    try:
        for command in (
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder],
            [uv, "pip", "install", "--quiet", "--python", python, *wanted],
        ):
            subprocess.run(
                [str(word) for word in command],
                check=True,
                capture_output=True,
                timeout=_INSTALL_SECONDS,
            )
    except (OSError, subprocess.SubprocessError) as exc:
        raise Unavailable(f"{name} cannot be installed ({type(exc).__name__})") from exc
    ready.touch()
    return folder
