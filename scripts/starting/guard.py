"""Guard process: ends the processes that `scripts.up` started once that has ended in any way.

`scripts.up` alone holds the write end of this process's stdin, and writes a line for each process
group that it starts (`+123`) or has ended (`-123`). The end of the input means that it has ended.
"""

import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE_SECONDS = 20.0


def left(lines: Iterable[str]) -> set[int]:
    """Return the process groups that were started and not ended at the end of the lines."""
    groups: set[int] = set()
    for line in lines:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    return groups


def end(groups: Iterable[int], patience: float = PATIENCE_SECONDS) -> None:
    """End process groups: SIGTERM, then SIGKILL after at most `patience` seconds."""
    groups = list(groups)
    for group in groups:
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGTERM)
    until = time.monotonic() + patience
    while any(_lives(group) for group in groups) and time.monotonic() < until:
        time.sleep(0.1)
    for group in groups:
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


def _lives(group: int) -> bool:
    with suppress(ProcessLookupError):
        os.killpg(group, 0)
        return True
    return False


if __name__ == "__main__":
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    end(left(sys.stdin), *map(float, sys.argv[1:]))
