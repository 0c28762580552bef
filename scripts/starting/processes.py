"""The servers and jobs that `make up` starts, each in its own process group, and their end."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from core.errors import ProjectError
from core.messages import N_
from scripts.starting.guard import PATIENCE_SECONDS, SIGNALS

ROOT = Path(__file__).resolve().parents[2]


class StartError(ProjectError):
    """The system cannot start; the message states what to do."""

    code = "start_failed"


class Stopped(Exception):
    """A request to stop: a signal, or the end of `make`."""


class Stack:
    """The started processes, each in its own group so that its children can be stopped too."""

    def __init__(self, env: Mapping[str, str], patience: float = PATIENCE_SECONDS) -> None:
        """Add `env` to the environment that every process gets.

        `patience` is the seconds from SIGTERM to SIGKILL if this process ends without `stop`.
        """
        self._env = {**os.environ, **env}
        self._processes: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._stopping = False
        self._parent = os.getppid() if "MAKELEVEL" in os.environ else None
        guard = [sys.executable, "-m", "scripts.starting.guard", str(patience)]
        self._guard = subprocess.Popen(
            guard, cwd=ROOT, stdin=subprocess.PIPE, start_new_session=True
        )
        for number in SIGNALS:
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """Set a flag only: an exception here could come between a start and its registration."""
        self._stopping = True

    def pause(self, seconds: float) -> None:
        """Sleep, then raise Stopped after a signal or once `make` has ended."""
        time.sleep(seconds)
        if self._stopping or (self._parent is not None and os.getppid() != self._parent):
            raise Stopped

    def _tell_guard(self, line: str) -> None:
        """Report a process group to the guard; a guard that has ended is ignored."""
        with suppress(OSError):
            os.write(self._guard.stdin.fileno(), f"{line}\n".encode())  # type: ignore[union-attr]

    def start(self, name: str, command: Sequence[str], log: Path) -> None:
        """Start a server in the background; its output goes to `log`."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as out:
            process = subprocess.Popen(
                command, cwd=ROOT, env=self._env, stdout=out, stderr=out, start_new_session=True
            )
        self._tell_guard(f"+{process.pid}")
        self._processes.append((name, process))

    def run(self, what: str, command: Sequence[str]) -> None:
        """Run a job in the foreground, with its output on the terminal.

        Raises:
            StartError: it failed.
        """
        process = subprocess.Popen(command, cwd=ROOT, env=self._env, start_new_session=True)
        self._tell_guard(f"+{process.pid}")
        self._processes.append((what, process))
        while (code := process.poll()) is None:
            self.pause(0.1)
        self._processes.pop()
        self._tell_guard(f"-{process.pid}")
        if code:
            message = N_("{what} failed (exit code {code}); the cause is just above")
            raise StartError(message, what=what, code=code)

    def wait_for(self, name: str, url: str, seconds: float, log: Path) -> None:
        """Wait until `url` returns 200.

        Raises:
            StartError: the process ended or the time is over; names the log.
        """
        deadline, said = time.monotonic() + seconds, ""
        while time.monotonic() < deadline:
            self.check()
            try:
                with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310
                    if answer.status == 200:
                        return
            except urllib.error.HTTPError as exc:
                said = exc.read(2000).decode(errors="replace")
            except OSError:
                pass
            self.pause(0.2)
        message = N_("{name} was not ready within {seconds} s; see {log} {said}")
        facts = {"seconds": round(seconds), "log": log.relative_to(ROOT), "said": said}
        raise StartError(message, name=name, **facts)

    def check(self) -> None:
        """Raise StartError when a server has ended by itself."""
        for name, process in self._processes:
            if process.poll() is not None:
                message = N_("{name} ended by itself (exit code {code}); see var/")
                raise StartError(message, name=name, code=process.returncode)

    def stop(self) -> None:
        """Stop everything, last started first: SIGTERM, then SIGKILL."""
        for _name, process in reversed(self._processes):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(20)
            # A server that has ended may have left children in its group.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self._tell_guard(f"-{process.pid}")
        self._guard.communicate()
