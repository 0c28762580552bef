"""A process of its own for what would take a worker's memory for good and its interpreter's time.

It gives signs of life: each line that it writes is one, and after too long without any it is ended.
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
    """A module of ours at work.

    Args:
        module: run with the arguments, and this process's number as the last one.
        arguments: what it works on; paths are absolute, since it works elsewhere.
        failed: raised when it ends otherwise than well.
        hung: raised when it stands still.

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
        """Start it."""
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
        """Return all that it writes, once it has ended well.

        Args:
            alive: called at each sign of life, with the seconds until the next one is due.
            patience: seconds between two signs of life; then it is ended.

        Raises:
            ChildFailed: it ended before it was done.
            ChildHung: it was ended, since it stood still.
        """
        try:
            said = self._heard(alive, patience)
        finally:
            self._end()
        if self._process.returncode:
            raise self._failed(self._process.returncode)
        return said

    def interrupt(self) -> None:
        """Ask it to end, from another thread than the one that listens."""
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
        """End it if it lives: a stopped one, too. One that waits for a disk ends later."""
        if self._process.stdout is not None:
            self._process.stdout.close()
        if self._process.poll() is None:
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_KILL_SECONDS)


def stand_back(number: int, patience: float = 0.0) -> None:
    """Let others of the machine go first; in the child, which ends with its parent.

    It then gets the signal `number`, and SIGKILL after `patience` seconds if it lives on.
    """
    end_with_parent(int(sys.argv[-1]), number, patience)
    os.nice(_NICENESS)
