"""Real processes for tests: ports, waiting, stopping, and a TCP forwarder that can be shut."""

import contextlib
import fcntl
import importlib
import io
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT.parent / "shared" / "data" / "pede_sample.xlsx"


def find_free_port() -> int:
    """Return a TCP port that was free on loopback a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def wait_for(url: str, seconds: float, process: subprocess.Popen[bytes] | None = None) -> None:
    """Poll `url` until it answers 200; fail when the process ends or the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            raise AssertionError(f"process ended with {process.returncode} before {url} answered")
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{url} did not answer within {seconds} s")


def eventually(check: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Return the first truthy result of `check`; fail when the time is over."""
    deadline = time.monotonic() + seconds
    while not (result := check()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {check}")
        time.sleep(0.05)
    return result


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process group by SIGTERM, and after 20 s by SIGKILL."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive file lock among the session's workers."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def shared_base(factory: pytest.TempPathFactory) -> Path:
    """Return the folder of temporary folders that all of the session's workers share."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def built_once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], None]) -> Path:
    """Return a folder that the first of the session's workers builds and all of them read.

    Args:
        factory: the session's.
        name: of the folder.
        build: fills it.
    """
    shared = shared_base(factory)
    folder, done = shared / name, shared / f"{name}.done"
    with locked(shared / f"{name}.lock"):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            build(folder)
            done.touch()
    return folder


def point_at(endpoint: str, monkeypatch: Any) -> None:
    """Set the environment variables of an object store, which child processes inherit."""
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    for name, value in {**keys, "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)


def make_bucket(endpoint: str, monkeypatch: Any, uri: str | None = None) -> str:
    """Create the bucket of a URI (default: a new one), set the environment; return the URI."""
    import boto3

    point_at(endpoint, monkeypatch)
    uri = uri or f"s3://captures-{uuid.uuid4().hex[:12]}/inferences"
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket=uri.split("/")[2])
    return uri


def read_objects(uri: str) -> dict[str, Any]:
    """Return a data frame of each Parquet object under a URI, by stem."""
    import pyarrow.fs as pafs
    import pyarrow.parquet as pq

    files, root = pafs.FileSystem.from_uri(uri)
    listed = files.get_file_info(pafs.FileSelector(root, allow_not_found=True))
    return {
        info.base_name.removesuffix(".parquet"): pq.read_table(
            info.path, filesystem=files
        ).to_pandas()
        for info in listed
    }


def copy_project(folder: Path) -> None:
    """Copy the files of a clone that the running system needs, so that this one stays unchanged."""
    folder.mkdir()
    for name in ("MLproject", "conda.yaml", "README.md", "RUNBOOK.md", ".env.example"):
        shutil.copy(ROOT / name, folder)
    ignore = shutil.ignore_patterns("inference_store", "reports", "raw", "processed")
    for name in ("core", "mlflow_project", "serving", "monitoring", "data", "scripts", "docker"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)


def clean_environment() -> dict[str, str]:
    """Return the environment of a new terminal: this one without MLflow's and make's variables.

    MLflow sets variables in a process that uses it, and so does make (`make test`); the commands
    would read them.
    """
    ours = ("MODEL_NAME", "MODEL_ALIAS", "PSEUDONYM_KEY", "INFERENCE_STORE", "JOURNAL_DIR")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MLFLOW_", "MAKE", "MFLAGS")) and name not in ours
    }
    return {**kept, "MLFLOW_DISABLE_TELEMETRY": "true"}


def run_here(
    command: Sequence[str], environ: Mapping[str, str] | None = None, folder: Path = ROOT
) -> str:
    """Run a `python -m` command in this process, which has imported MLflow already.

    Returns its standard output. Only for commands whose own start-up is not under test.
    """
    module, *arguments = command
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        for name, value in (environ or {}).items():
            patch.setenv(name, value)
        patch.chdir(folder)
        code = importlib.import_module(module).main(list(arguments))
    assert code == 0, printed.getvalue()
    return printed.getvalue()


class Gate:
    """A TCP forwarder to the MLflow server; shut, it refuses connections and cuts open ones."""

    def __init__(self, server: str, port: int) -> None:
        """Forward `port` of loopback to the server once opened."""
        self._server = ("127.0.0.1", int(server.rsplit(":", 1)[1]))
        self._port = port
        self.uri = f"http://127.0.0.1:{port}"
        self._sockets: list[socket.socket] = []
        self._shut, self._silent = True, False

    def open(self) -> None:
        """Accept connections."""
        self._shut = False
        listener = socket.create_server(("127.0.0.1", self._port), backlog=32)
        self._sockets.append(listener)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def hush(self) -> None:
        """Cut open connections; accept new ones without ever answering."""
        self.shut()
        self._silent = True
        self.open()

    def shut(self) -> None:
        """Refuse new connections and cut open ones."""
        self._shut = True
        while self._sockets:
            sock = self._sockets.pop()
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                if self._silent:
                    self._sockets.append(near)
                    continue
                far = socket.create_connection(self._server)
                self._sockets += [near, far]
                if self._shut:  # while this one was being accepted
                    self.shut()
                    return
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
