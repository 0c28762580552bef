"""Start, wait for, measure and end a benchmark's processes, each in a group of its own."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class DidNotStart(Exception):
    """A server that ended, or was not ready in time."""


def free_port() -> int:
    """Return a TCP port that was free on loopback a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextlib.contextmanager
def running(
    command: Sequence[str | Path], log: Path, environ: Mapping[str, str], folder: Path = ROOT
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a process group of its own; the whole group is ended afterwards."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=folder,
            env={**os.environ, **environ},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _end(process)


def wait_for(url: str, process: subprocess.Popen[bytes], seconds: float = 90) -> float:
    """Wait until `url` returns 200; return the seconds that this took.

    Raises:
        DidNotStart: the process ended, or `url` did not return 200 in time.
    """
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        if process.poll() is not None:
            raise DidNotStart(f"ended with {process.returncode}")
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310
            if answer.status == 200:
                return time.perf_counter() - began
        time.sleep(0.02)
    raise DidNotStart(f"{url} did not answer within {seconds:g} s")


@contextlib.contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Run an MLflow server that keeps its data in `folder`; yield its address."""
    port = free_port()
    command: list[str | Path] = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"),
        *("--artifacts-destination", folder / "artifacts"),
    ]
    environ = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with running(command, folder / "mlflow.log", environ, folder) as process:
        wait_for(f"http://127.0.0.1:{port}/health", process, 120)
        yield f"http://127.0.0.1:{port}"


def resident(process: subprocess.Popen[bytes]) -> float:
    """Return the resident memory of the group's largest process, a worker, in MB."""
    return max((_rss(pid) for pid in _group(process.pid)), default=0.0)


def processor_seconds(process: subprocess.Popen[bytes]) -> float:
    """Return the processor seconds of a group, including those of its ended children."""
    return sum(_times(pid) for pid in _group(process.pid))


def _times(pid: int) -> float:
    with contextlib.suppress(OSError):
        # After the name in parentheses; utime to cstime are fields 14 to 17 of proc(5).
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _group(leader: int) -> list[int]:
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    members = []
    for pid in pids:
        with contextlib.suppress(OSError):
            if os.getsid(pid) == leader:
                members.append(pid)
    return members


def _rss(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _end(process: subprocess.Popen[bytes]) -> None:
    members = _group(process.pid)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)
    for pid in members:
        with contextlib.suppress(ProcessLookupError):
            if os.getsid(pid) == process.pid:
                os.kill(pid, signal.SIGKILL)
    process.wait(10)
