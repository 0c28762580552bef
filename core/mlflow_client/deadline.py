"""Calls with a deadline: the work runs in a thread, which is abandoned when time is up.

A socket's timeout limits the silence between two bytes, so a server that sends one now and then
holds a caller for ever; only a clock beside the work ends that.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

T = TypeVar("T")

_LEFT_BEHIND = threading.BoundedSemaphore(8)
"""How many pieces of work may hang at once: beyond that nothing new is begun."""


class DeadlineError(Exception):
    """The work was not done in time; it may go on, and nobody waits for it."""


def within(seconds: float, work: Callable[[], T]) -> T:
    """Return what `work` returns, or raise what it raises.

    Raises:
        DeadlineError: it takes longer than `seconds`, or too much earlier work still hangs.
    """
    if seconds <= 0 or not _LEFT_BEHIND.acquire(timeout=seconds):
        raise DeadlineError
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as exc:
            done.set_exception(exc)
        finally:
            _LEFT_BEHIND.release()

    # A daemon, and no executor's: work that hangs must not keep the process from ending.
    threading.Thread(target=run, name="mlflow-call", daemon=True).start()
    if not wait([done], timeout=seconds).done:
        raise DeadlineError
    return done.result()
