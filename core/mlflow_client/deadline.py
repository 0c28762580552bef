"""Calls with a deadline: the work runs in a thread, which is abandoned at the deadline.

A socket's timeout limits only the time between two bytes, so a server that sends one now and then
blocks its caller for ever; only a timer outside the work prevents that.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

T = TypeVar("T")

_LEFT_BEHIND = threading.BoundedSemaphore(8)
"""Limit of concurrent calls, abandoned ones included; beyond it no new call is started."""


class DeadlineError(Exception):
    """A missed deadline; the abandoned work may still be running."""


def within(seconds: float, work: Callable[[], T]) -> T:
    """Return what `work` returns, or raise what it raises.

    Raises:
        DeadlineError: it takes longer than `seconds`, or too many earlier calls are still running.
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

    # A daemon thread, not an executor's: hanging work must not keep the process from exiting.
    threading.Thread(target=run, name="mlflow-call", daemon=True).start()
    if not wait([done], timeout=seconds).done:
        raise DeadlineError
    return done.result()
