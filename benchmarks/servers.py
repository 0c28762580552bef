"""The servers under comparison: command, request and readiness check of each."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.environments import environment, shipped_python
from benchmarks.pinned import CHAMPION, PINNED
from benchmarks.processes import ROOT
from mlflow_project.dataset.risk import FEATURE_NAMES

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

_LITSERVE = """
import joblib, litserve, pandas as pd

class Scoring(litserve.LitAPI):
    def setup(self, device):
        self.model = joblib.load(r"%s")

    def decode_request(self, request):
        return request

    def batch(self, rows):
        return pd.DataFrame(rows)

    def predict(self, frame):
        return self.model.%s(frame).tolist()

    def unbatch(self, output):
        return output

    def encode_response(self, output):
        return {"prediction": output}

if __name__ == "__main__":
    api = Scoring(max_batch_size=64, batch_timeout=0.001)
    litserve.LitServer(api, accelerator="cpu").run(port=%d, num_api_servers=1, log_level="warning")
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A server to measure.

    Attributes:
        command: starts it; `path` accepts a POST of `body`, `ready` returns 200 once it does.
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
        """Return the URL of predictions."""
        return f"http://127.0.0.1:{self.port}{self.path}"

    @property
    def ready_url(self) -> str:
        """Return the URL of the readiness check."""
        return f"http://127.0.0.1:{self.port}{self.ready}"


def ours(
    name: str,
    uri: str,
    folder: Path,
    port: int,
    rows: Sequence[Any],
    model: str = PINNED,
    workers: int = 1,
    python: Path | None = None,
) -> Server:
    """Return our proxy with capture and log enabled."""
    home = folder / name.replace(" ", "-")
    environ = {
        "MLFLOW_TRACKING_URI": uri,
        "MODEL_NAME": model,
        "INFERENCE_STORE": str(home / "store"),
        "LOG_FILE": str(home / "app.log"),
    }
    python = python or shipped_python()
    command = [python, "-m", "serving", "--port", str(port), "--workers", str(workers)]
    body = json.dumps({"instances": list(rows)}).encode()
    return Server(name, command, port, "/predict", "/ready", body, environ)


def champion(name: str, uri: str, folder: Path, port: int, rows: Sequence[Any]) -> Server:
    """Return our proxy serving a model fitted as training fits it."""
    return ours(name, uri, folder, port, rows, CHAMPION)


def shadowed(name: str, uri: str, folder: Path, port: int, rows: Sequence[Any]) -> Server:
    """Return our proxy with a challenger that scores the same rows in shadow mode."""
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
        *(shipped_python(), "-m", "benchmarks.ceiling", "--port", str(port), "--size", "220"),
        *("--workers", str(workers)),
    ]
    return Server(name, command, port, path, "/health", proxy.body, proxy.environ)


def mlflow_serve(
    uri: str,
    port: int,
    rows: Sequence[Mapping[str, Any]],
    model: str = PINNED,
    python: Path | None = None,
) -> Server:
    """Return MLflow's own scoring server."""
    python = python or shipped_python()
    table = {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}
    command = [
        *(python, "-m", "mlflow", "models", "serve", "--env-manager", "local"),
        *("-m", f"models:/{model}/1", "--port", str(port), "--workers", "1"),
    ]
    body = json.dumps({"dataframe_split": table}).encode()
    # MLflow starts uvicorn from PATH.
    path = f"{python.parent}:{os.environ['PATH']}"
    environ = {"MLFLOW_TRACKING_URI": uri, "PATH": path}
    return Server("mlflow models serve", command, port, "/invocations", "/ping", body, environ)


def by_hand(dump: Path, port: int, row: Mapping[str, Any], method: str, python: Path) -> Server:
    """Return a typical hand-written FastAPI app around a pickled model."""
    columns = {name: type(value).__name__ for name, value in row.items()}
    command = [
        *(python, "-m", "benchmarks.handwritten", "--model", dump, "--method", method),
        *("--columns", json.dumps(columns), "--port", str(port)),
    ]
    body = json.dumps(row).encode()
    return Server("FastAPI by hand", command, port, "/predict", "/ready", body)


def litserve(dump: Path, folder: Path, port: int, row: Mapping[str, Any], method: str) -> Server:
    """Return LitServe with request batching.

    Raises:
        Unavailable: it cannot be installed.
    """
    home = folder / f"litserve-{dump.stem}"
    home.mkdir()
    (home / "service.py").write_text(_LITSERVE % (dump, method, port))
    command = [environment("litserve") / "bin" / "python", "service.py"]
    body = json.dumps(row).encode()
    return Server("LitServe", command, port, "/predict", "/health", body, {}, home)


def mlserver(model: Path, folder: Path, ports: Sequence[int], rows: Sequence[Any]) -> Server:
    """Return MLServer with its scikit-learn runtime, inference in the server's process.

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
    command: list[str | Path] = [environment("mlserver") / "bin" / "mlserver", "start", "."]
    return Server("MLServer", command, ports[0], path, "/v2/health/ready", body, {}, home)


def bentoml(model: Path, folder: Path, port: int, rows: Sequence[Any]) -> Server:
    """Return BentoML with adaptive batching.

    Raises:
        Unavailable: it cannot be installed.
    """
    home = folder / "bentoml"
    home.mkdir()
    (home / "service.py").write_text(_BENTO % model)
    program = environment("bentoml") / "bin" / "bentoml"
    command: list[str | Path] = [program, "serve", "service:Scoring", "--host", "127.0.0.1"]
    command += ["--port", str(port)]
    body = json.dumps({"rows": [list(row.values()) for row in rows]}).encode()
    environ = {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(home)}
    return Server("BentoML", command, port, "/predict", "/readyz", body, environ, home)
