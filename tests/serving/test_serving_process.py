"""`python -m serving` as a child process: options, shutdown, a killed master."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
ROW = {"temperature": 21.5, "pressure": None, "wear": 2}


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command and return its completed process."""
    return subprocess.run(
        [sys.executable, "-m", "serving", *arguments],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **environ},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_help_is_quick() -> None:
    """`--help` takes less than 2 s: it does not import the model libraries."""
    began = time.monotonic()
    result = run("--help")
    assert result.returncode == 0
    assert "porta" in result.stdout
    assert time.monotonic() - began < 2


def test_a_taken_port_ends_in_one_clear_line() -> None:
    """A port in use gives one line with the address and `--port`; the exit code is 1."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        result = run("--port", str(port))
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert f"127.0.0.1:{port}" in line
    assert "--port" in line


@pytest.mark.parametrize(
    ("arguments", "environ", "code", "word"),
    [
        ((), {"THRESHOLD": "2"}, 1, "THRESHOLD"),
        (("--workers", "0"), {}, 2, "--workers"),
        (("--port", "99999"), {}, 2, "--port"),
    ],
)
def test_a_wrong_option_names_itself(
    arguments: tuple[str, ...], environ: dict[str, str], code: int, word: str
) -> None:
    """An invalid option or variable ends the process with an error that names it."""
    result = run(*arguments, **environ)
    assert result.returncode == code
    assert word in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_two_workers_finish_what_they_accepted(
    two_workers: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """Under SIGTERM every response is a captured 200, no journal is left, the exit code is 0."""
    with two_workers() as (process, proxy):
        eventually(lambda: _both_ready(proxy), 90)
        answers: list[httpx.Response] = []

        def ask() -> None:
            try:
                while True:
                    answers.append(proxy.predict(ROW, headers={"Connection": "close"}))
            except httpx.TransportError:
                return  # the port is closed

        with ThreadPoolExecutor(4) as pool:
            for _ in range(4):
                pool.submit(ask)
            eventually(lambda: len(answers) > 100)
            process.terminate()
        assert process.wait(40) == 0
    assert {answer.status_code for answer in answers} == {200}
    assert not proxy.journals()
    frame = pd.concat([pd.read_parquet(path) for path in proxy.parquet()])
    assert {answer.json()["request_id"] for answer in answers} <= set(frame["request_id"])
    assert frame["request_id"].is_unique
    assert len({path.stem.split("-")[2] for path in proxy.parquet()}) == 2


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the workers in /proc")
def test_a_killed_master_leaves_no_workers(
    two_workers: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """After SIGKILL of the master the workers end, rows are stored, and the port is free."""
    with two_workers() as (process, proxy):
        eventually(lambda: _both_ready(proxy), 90)
        assert len(_group(process.pid)) > 2
        assert proxy.predict(ROW).status_code == 200
        process.kill()
        eventually(lambda: not _group(process.pid), 60)
    with socket.create_server(("127.0.0.1", proxy.http.base_url.port)):
        pass
    assert sum(len(pd.read_parquet(path)) for path in proxy.parquet()) == 1


def _group(number: int) -> list[int]:
    """Return the pids of a process group, without zombies."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _parent, group = path.read_text().rpartition(")")[2].split()[:3]
            if int(group) == number and state != "Z":
                found.append(int(path.parent.name))
    return found


def _both_ready(proxy: Any) -> bool:
    """Return whether both workers have logged that they serve."""
    if not proxy.settings.log_file.exists():
        return False
    return sum("servindo" in line["message"] for line in proxy.log()) == 2
