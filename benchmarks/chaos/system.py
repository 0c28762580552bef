"""The system under test: MLflow, the proxy with two workers, and a supervisor of both."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from benchmarks.chaos.account import Account, Fault
from benchmarks.chaos.gateway import Gateway
from benchmarks.chaos.versions import MODEL
from benchmarks.processes import ROOT, free_port

KEY = "chaos-key"
_START_SECONDS = 180.0
_READY_IN_A_ROW = 10
"""Successive responses of `/ready`, on new connections, after which both workers count as ready."""
_DOWN = {"master": "outage", "mlflow": "mlflow down"}
"""Kind of the fault that lasts until a server is ready again."""


class System:
    """Real processes with their files in a folder; `close` ends what `start` and `serve` started.

    Attributes:
        disk: folder of the store, a small file system of its own if one can be mounted.
        small_disk: whether one is mounted.
    """

    def __init__(self, folder: Path, account: Account) -> None:
        """Choose ports and folders; start the gateway and the guard process, but no server."""
        self.folder, self.account = folder, account
        self.disk, self.small_disk = folder / "disk", False
        self.store, self.journals = self.disk / "store", self.disk / "store" / "journal"
        self.port, self.mlflow_port = free_port(), free_port()
        self.uri = f"http://127.0.0.1:{self.mlflow_port}"
        self.gateway = Gateway(free_port(), self.mlflow_port)
        self._stopping = threading.Event()
        self._down: dict[str, Fault] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        guard = [sys.executable, "-m", "scripts.starting.guard"]
        self._guard = subprocess.Popen(
            guard, cwd=ROOT, stdin=subprocess.PIPE, start_new_session=True
        )

    def start(self) -> None:
        """Mount the disk and start MLflow; `serve` starts the proxy."""
        self.disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=512m", "chaos", str(self.disk)]
        if os.geteuid() == 0:
            self.small_disk = (
                subprocess.run(mount, capture_output=True, check=False).returncode == 0
            )
        if not self.small_disk:
            self.account.note("disk full: skipped, only root may mount a small disk")
        self._start("mlflow")

    def serve(self) -> None:
        """Start the proxy; from now on servers that end are restarted."""
        self._start("master")
        threading.Thread(target=self._supervise, daemon=True).start()

    def close(self) -> int | None:
        """End the proxy by SIGTERM, then kill MLflow; return the proxy's exit code, if any."""
        self._stopping.set()
        master, mlflow = self._processes.get("master"), self._processes.get("mlflow")
        code = None
        if master is not None:
            master.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = master.wait(120)
        for process in (master, mlflow):
            if process is not None:
                _kill_group(process)
        self.gateway.close()
        self._guard.communicate()
        return code

    def unmount(self) -> None:
        """Unmount the disk if one was mounted."""
        if self.small_disk:
            subprocess.run(["umount", "--lazy", str(self.disk)], check=True)

    def environ(self, uri: str) -> dict[str, str]:
        """Return the environment of our processes, with MLflow at `uri`."""
        ours = {
            "MLFLOW_TRACKING_URI": uri,
            "MODEL_NAME": MODEL,
            "INFERENCE_STORE": str(self.store),
            "JOURNAL_DIR": str(self.journals),
            "CAPTURE_FLUSH_SECONDS": "2",
            "CAPTURE_REQUIRED": "true",
            "POLL_SECONDS": "0.5",
            "LOG_FILE": str(self.folder / "app.log"),
            "MODEL_CACHE": str(self.folder / "cache"),
            "API_KEYS": KEY,
            "PSEUDONYM_KEY": "chaos",
            "APP_LANGUAGE": "en",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        return {**os.environ, **ours}

    def guard(self, group: int) -> None:
        """Register a process group with the guard, which ends it if this process dies."""
        with contextlib.suppress(OSError):
            os.write(self._guard.stdin.fileno(), f"+{group}\n".encode())  # type: ignore[union-attr]

    def pid(self, name: str) -> int:
        """Return the process id of `master` or `mlflow`."""
        return self._processes[name].pid

    def kill(self, name: str) -> None:
        """Kill the master alone, or MLflow with its workers; the supervisor starts it again."""
        process = self._processes[name]
        self._down[name] = self.account.fault(_DOWN[name])
        self.account.killed(name)
        if name == "master":
            process.kill()
        else:
            _kill_group(process)

    def workers(self) -> list[int]:
        """Return the ids of the master's children that multiprocessing started."""
        return [pid for pid in children(self.pid("master")) if "multiprocessing" in words(pid)]

    def answering(self) -> list[int]:
        """Return the running workers that have captured a row, by the process ids in file names."""
        owners = {path.stem.split("-")[2] for path in self._files() if path.stem.count("-") > 2}
        return [pid for pid in self.workers() if str(pid) in owners and not is_stopped(pid)]

    def conversions(self) -> list[int]:
        """Return the ids of the running conversion processes."""
        found = (child for worker in self.workers() for child in children(worker))
        return [pid for pid in found if "serving.capture.conversion" in words(pid)]

    def is_ready(self) -> bool:
        """Return whether `/ready` returns 200."""
        return _answers(f"http://127.0.0.1:{self.port}/ready")

    def _files(self) -> list[Path]:
        return [*self.journals.glob("*.jsonl"), *self.store.glob("*.parquet")]

    def _command(self, name: str) -> list[str]:
        if name == "master":
            options = ("--port", str(self.port), "--workers", "2")
            return [sys.executable, "-m", "serving", *options]
        return [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1"),
            *("--port", str(self.mlflow_port)),
            *("--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db"),
            *("--artifacts-destination", str(self.folder / "artifacts")),
        ]

    def _start(self, name: str) -> None:
        """Start a server and wait until it is ready, has ended again, or the time is over."""
        environ: Mapping[str, str] = self.environ(self.gateway.uri)
        if name == "mlflow":
            environ = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self.folder / f"{name}.out").open("ab") as log:
            self._processes[name] = process = subprocess.Popen(
                self._command(name),
                cwd=ROOT if name == "master" else self.folder,
                env=environ,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.guard(process.pid)
        until, ready = time.monotonic() + _START_SECONDS, 0
        while process.poll() is None and time.monotonic() < until and not self._stopping.is_set():
            if name == "mlflow" and _answers(f"{self.uri}/health"):
                return
            ready = ready + 1 if name == "master" and self.is_ready() else 0
            if ready == _READY_IN_A_ROW:
                return
            time.sleep(0.1)

    def _supervise(self) -> None:
        """Restart servers that have ended, as a supervisor would."""
        watches = [threading.Thread(target=self._watch, args=(n,)) for n in self._processes]
        for watch in watches:
            watch.daemon = True
            watch.start()

    def _wait_for_port(self) -> None:
        """Wait while workers of a killed master, finishing accepted requests, hold the port."""
        until = time.monotonic() + _START_SECONDS
        while _accepts(self.port) and time.monotonic() < until:
            time.sleep(0.2)

    def _watch(self, name: str) -> None:
        while not self._stopping.wait(0.1):
            if self._processes[name].poll() is None:
                continue
            if name not in self._down:
                self.account.note(f"{name} ended by itself")
                self._down[name] = self.account.fault(_DOWN[name])
            if name == "master":
                self._wait_for_port()
            self._start(name)
            if self._processes[name].poll() is None and name in self._down:
                self._down.pop(name).ended = time.monotonic()


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def children(pid: int) -> list[int]:
    """Return the ids of a process's children; empty if it has ended."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found += map(int, (task / "children").read_text().split())
    return found


def words(pid: int) -> str:
    """Return a process's command line; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def is_stopped(pid: int) -> bool:
    """Return whether a process is stopped or has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "TtZX"
    except OSError:
        return True


def send(pid: int, number: int) -> bool:
    """Send a signal; return whether the process exists."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False
