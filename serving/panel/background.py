"""Cache of slow reads: a thread reads at most every few seconds, and a page's wait is bounded."""

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
    """The newest value, when it was read, and why there is no newer one."""

    value: T
    when: datetime | None = None
    problem: str | None = None


class BackgroundReader(Generic[T]):
    """Cache of a slow function's result; one read at a time, in the background.

    `read` may block or fail. `first` is the value until the first read, `kept` a value's lifetime
    in seconds; `slow` is the message for a read that takes longer than a page waits, with the
    placeholder `{seconds}`.
    """

    def __init__(self, read: Callable[[], T], first: T, slow: str, kept: float) -> None:
        """Keep the parameters; nothing is read before the first `begin` or `latest`."""
        self._call, self._slow, self._kept = read, slow, kept
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._begun = self._ended = float("-inf")
        self._last = Reading(first)

    def begin(self) -> threading.Thread | None:
        """Start a read if the value has expired; return the reading thread, None without one.

        A page begins all its reads before it waits for the first: they run concurrently.
        """
        with self._lock:
            now = time.monotonic()
            if self._thread is None and now - self._ended >= self._kept:
                self._begun = now
                # A daemon: an unresponsive server must not keep the process from ending.
                self._thread = threading.Thread(target=self._read, name="page", daemon=True)
                self._thread.start()
            return self._thread

    def latest(self) -> Reading[T]:
        """Return the newest value; blocks at most until `PATIENCE_SECONDS` after the read began."""
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
