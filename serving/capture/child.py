"""A child process for work that would hold a worker's memory for good and block its interpreter.

Its output serves as heartbeats: after too long without any it is killed.
"""

import contextlib
import os
import selectors
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from core.cli.parent import end_with_parent
from serving.errors import ChildFailed, ChildHung

_ROOT = Path(__file__).resolve().parents[2]
_NICENESS = 10
_KILL_SECONDS = 5.0


class Child:
    """A child process that runs a module of this project.

    Args:
        module: run with the arguments, and this process's id as the last one.
        arguments: its command-line arguments; paths are absolute, since its working directory
            differs.
        failed: error raised when it exits with another code than 0.
        hung: error raised when it writes nothing for too long.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        failed: type[ChildFailed],
        hung: type[ChildHung],
    ) -> None:
        """Start the process."""
        self._failed, self._hung = failed, hung
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments, str(os.getpid())],
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            # A traceback may hold captured values.
            stderr=subprocess.DEVNULL,
        )

    def said(self, alive: Callable[[float], None], patience: float) -> bytes:
        """Return all output of the process, once it has exited with code 0.

        Args:
            alive: called at the start and at each output, with the seconds until the next is due.
            patience: seconds without output after which the process is killed.

        Raises:
            ChildFailed: it exited with another code, or by a signal.
            ChildHung: it was killed after too long without output.
        """
        try:
            said = self._heard(alive, patience)
        finally:
            self._end()
        if self._process.returncode:
            raise self._failed(self._process.returncode)
        return said

    def interrupt(self) -> None:
        """Send it SIGTERM, from another thread than the one that reads its output."""
        self._process.terminate()

    def _heard(self, alive: Callable[[float], None], patience: float) -> bytes:
        assert self._process.stdout is not None  # noqa: S101 (it was opened as a pipe)
        said, pipe = b"", self._process.stdout.fileno()
        with selectors.DefaultSelector() as ready:
            ready.register(pipe, selectors.EVENT_READ)
            while True:
                alive(patience / 2)
                if not ready.select(patience):
                    raise self._hung(seconds=round(patience))
                data = os.read(pipe, 65536)
                if not data:
                    break
                said += data
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            raise self._hung(seconds=round(patience)) from None
        return said

    def _end(self) -> None:
        """Kill it if it still runs, even if stopped; one in uninterruptible I/O ends later."""
        if self._process.stdout is not None:
            self._process.stdout.close()
        if self._process.poll() is None:
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_KILL_SECONDS)


def stand_back(number: int, patience: float = 0.0) -> None:
    """Lower the CPU priority of the calling child process, and end it with its parent.

    When the parent ends, it gets the signal `number`, and SIGKILL `patience` seconds later.
    """
    end_with_parent(int(sys.argv[-1]), number, patience)
    os.nice(_NICENESS)
