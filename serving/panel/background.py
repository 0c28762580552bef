"""What takes long to read is read in a thread, at most every few seconds; a page waits little."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Generic, TypeVar

from core.errors import ProjectError
from core.messages import _
from serving.telemetry.logs import location

T = TypeVar("T")

PATIENCE_SECONDS = 3.0
"""Longest time that a page waits, in seconds."""


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """The newest value there is, when it was read, and why there is no newer one."""

    value: T
    when: datetime | None = None
    problem: str | None = None


class BackgroundReader(Generic[T]):
    """Caches what a slow reader returns; one read at a time, in the background.

    What it reads may block or fail. `first` stands until then, a value for `kept` seconds; `slow`
    is the message for when it takes longer than a page waits, and names `{seconds}`.
    """

    def __init__(self, read: Callable[[], T], first: T, slow: str, kept: float) -> None:
        """Keep what is read; nothing is asked before the first `latest`."""
        self._call, self._slow, self._kept = read, slow, kept
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._begun = self._ended = float("-inf")
        self._last = Reading(first)

    def begin(self) -> threading.Thread | None:
        """Begin to read if it is time; return the thread that reads, None if none does.

        A page begins with all its readers before it asks the first: they wait side by side.
        """
        with self._lock:
            now = time.monotonic()
            if self._thread is None and now - self._ended >= self._kept:
                self._begun = now
                # A daemon: a server that never answers must not keep the process from ending.
                self._thread = threading.Thread(target=self._read, name="page", daemon=True)
                self._thread.start()
            return self._thread

    def latest(self) -> Reading[T]:
        """Return what is known; blocks until `PATIENCE_SECONDS` after it began to read, at most."""
        thread = self.begin()
        if thread is not None:
            thread.join(max(0.0, self._begun + PATIENCE_SECONDS - time.monotonic()))
            if thread.is_alive():
                text = _(self._slow, seconds=PATIENCE_SECONDS)
                return replace(self._last, problem=text)
        return self._last

    def _read(self) -> None:
        try:
            self._last = Reading(self._call(), datetime.now(UTC))
        except Exception as exc:
            text = str(exc) if isinstance(exc, ProjectError) else location(exc)
            self._last = replace(self._last, problem=text)
        finally:
            with self._lock:
                self._ended, self._thread = time.monotonic(), None
