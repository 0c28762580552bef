"""Callbacks that run at SIGINT and SIGTERM, before the installed handlers."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any


@contextmanager
def also_tells(tell: Callable[[], None]) -> Iterator[None]:
    """Call `tell` at SIGINT and SIGTERM inside the block, then the previous handler."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Only the main thread handles signals.
        return

    def told(before: Callable[..., Any], number: int, frame: FrameType | None) -> None:
        tell()
        before(number, frame)

    found = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handlers = {number: before for number, before in found.items() if callable(before)}
    for number, before in handlers.items():
        signal.signal(number, partial(told, before))
    try:
        yield
    finally:
        for number, before in handlers.items():
            signal.signal(number, before)
