"""Real MLflow servers for tests: one for a single test, or one that all workers share."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.live import ROOT, clean_environment, find_free_port, locked, stop, wait_for


def start_mlflow(folder: Path, bucket: str = "") -> tuple[subprocess.Popen[bytes], str]:
    """Start an MLflow server; return it and its address once it answers.

    Its SQLite database and the artifacts that it serves are under `folder`; with a bucket clients
    upload and download artifacts directly.
    """
    port = find_free_port()
    uri = f"http://127.0.0.1:{port}"
    env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        env.pop(name, None)
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"),
        *(
            ("--no-serve-artifacts", "--default-artifact-root", bucket)
            if bucket
            else ("--artifacts-destination", str(folder / "artifacts"))
        ),
    ]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_for(f"{uri}/health", 240, process)
    except BaseException:
        stop(process)
        raise
    return process, uri


@contextmanager
def running_mlflow(folder: Path, bucket: str = "") -> Iterator[str]:
    """Yield the address of a server started by `start_mlflow`; stop it afterwards."""
    process, uri = start_mlflow(folder, bucket)
    try:
        yield uri
    finally:
        stop(process)


def alone(users: IO[str]) -> bool:
    """Try to acquire this lock, which a killed worker no longer holds; return whether it worked."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def shared_mlflow(folder: Path) -> Iterator[str]:
    """Yield the address of the shared server: the first worker starts it, the last stops it."""
    told = folder / "server.json"
    with (folder / "users.lock").open("w") as users:
        with locked(folder / "start.lock"):
            if alone(users):
                process, uri = start_mlflow(folder)
                told.write_text(json.dumps([process.pid, uri]))
            fcntl.flock(users, fcntl.LOCK_SH)
        group, uri = json.loads(told.read_text())
        try:
            yield uri
        finally:
            with locked(folder / "start.lock"):
                if alone(users):
                    os.killpg(group, signal.SIGTERM)


def collect_run(run_id: str, folder: Path, uri: str) -> None:
    """Delete a run permanently (`mlflow gc`) from the MLflow server with its data in `folder`."""
    from mlflow import MlflowClient

    MlflowClient(uri).delete_run(run_id)
    store, artifacts = f"sqlite:///{folder}/mlflow.db", str(folder / "artifacts")
    where = ("--backend-store-uri", store, "--artifacts-destination", artifacts)
    command = [sys.executable, "-m", "mlflow", "gc", *where, "--run-ids", run_id]
    environment = {**clean_environment(), "MLFLOW_TRACKING_URI": uri, "PATH": os.environ["PATH"]}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
