"""`make up` ends the processes that it started, however it was ended itself."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.live import eventually

ROOT = Path(__file__).resolve().parents[1]
# A server with a child process; it may ignore SIGTERM.
STACK = """
import sys
from pathlib import Path
from scripts.up import Stack, Stopped
stack = Stack({}, patience=2.0)
server = "%s sleep 300 & echo $! >> %s; wait"
try:
    stack.start("server", ["bash", "-c", server], Path(sys.argv[1]))
    print("up", flush=True)
    while True:
        stack.pause(0.1)
except Stopped:
    pass
finally:
    stack.stop()
"""


def lives(pid: int) -> bool:
    """Return whether a process exists and is no zombie."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.fixture
def pids(tmp_path: Path) -> Iterator[Path]:
    """Yield the file with the PIDs of the server's children; survivors of the test are killed."""
    path = tmp_path / "pids"
    yield path
    for pid in map(int, path.read_text().split()):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.server
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the processes in /proc")
@pytest.mark.parametrize(
    ("number", "whom", "trap"),
    [
        (signal.SIGKILL, "itself", "trap '' TERM;"),
        (signal.SIGKILL, "make", ""),
        (signal.SIGHUP, "itself", ""),
    ],
)
def test_its_children_end_with_it(
    pids: Path, tmp_path: Path, number: signal.Signals, whom: str, trap: str
) -> None:
    """Child processes end with `scripts.up` (SIGKILL, a terminal's SIGHUP) and with its `make`."""
    script = tmp_path / "stack.py"
    script.write_text(STACK % (trap, pids))
    command = [sys.executable, str(script), str(tmp_path / "log")]
    make = ["sh", "-c", '"$@"; true', "make", *command]  # remains its parent process
    process = subprocess.Popen(
        make if whom == "make" else command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MAKELEVEL": "1"},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    eventually(lambda: pids.exists() and pids.read_text().strip())
    (child,) = map(int, pids.read_text().split())
    assert lives(child)
    process.send_signal(number)
    eventually(lambda: not lives(child), 60)
    process.wait(30)


def test_the_guard_needs_no_word_of_patience() -> None:
    """The guard, started without patience as by the chaos campaign, still ends its processes."""
    server = subprocess.Popen(["sleep", "300"], start_new_session=True)
    guard = [sys.executable, "-m", "scripts.starting.guard"]
    threading.Thread(target=server.wait, daemon=True).start()  # no zombie keeps its group
    subprocess.run(guard, cwd=ROOT, input=f"+{server.pid}\n", text=True, check=True, timeout=60)
    eventually(lambda: server.poll() is not None, 10)


def test_an_upgrade_that_is_stopped_says_so_and_failed() -> None:
    """A stopped upgrade prints one line and exits with 1, so that systemd does not go on."""
    stopped = "def stopped(*_given):\n    raise up.Stopped\nup.upgrade_database = stopped\n"
    script = f"from scripts import up\n{stopped}raise SystemExit(up.main(['--upgrade-only']))"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1
