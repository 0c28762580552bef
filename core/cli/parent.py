"""End a child process when its parent process has ended, for whatever reason.

Linux sends the signal itself. Elsewhere, and where the parent had ended before that was requested,
a thread polls.
"""

import ctypes
import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_LOOK_SECONDS = 1.0


def end_with_parent(parent: int, number: int, patience: float = 0.0) -> None:
    """Send this process the signal `number` when process `parent` has ended, even before the call.

    SIGKILL follows if this process is still running after `patience` seconds.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    arguments = (parent, number, patience)
    threading.Thread(target=_watch, args=arguments, name="parent", daemon=True).start()


def _watch(parent: int, number: int, patience: float) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os.kill(os.getpid(), number)
    time.sleep(patience)
    os.kill(os.getpid(), signal.SIGKILL)
