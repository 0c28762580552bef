"""The JSON log: one object a line, written whole, by several workers to one file."""

import asyncio
import os
import sys
import threading
import time
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import msgspec

from core.messages import _
from core.messages.system import system_reason

_REOPEN_SECONDS = 1.0
_STDOUT = Path("-")


class EventRecord(msgspec.Struct, omit_defaults=True):
    """Log record of a process event."""

    timestamp: str
    level: str
    message: str
    model_version: str | None = None


class RequestRecord(msgspec.Struct):
    """Log record of one request. `path` is the route's, without the query string.

    `latency_ms` is from the request's headers to the last byte of its response; `client` identifies
    the client, as `LOG_CLIENT` sets. No field has a default: one that no code sets would be null
    without an error.
    """

    timestamp: str
    level: str
    message: str
    request_id: str
    method: str
    path: str
    status_code: int
    latency_ms: float
    model_version: str | None
    n_instances: int | None
    client: str | None


def now() -> str:
    """Return the current time in UTC, ISO 8601 with milliseconds."""
    seconds, milliseconds = divmod(time.time_ns() // 1_000_000, 1000)
    return f"{_second(seconds)}.{milliseconds:03d}Z"


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def location(exc: BaseException, depth: int = 3) -> str:
    """Return the exception's type and where it came from, innermost first.

    Its text is left out: it may contain a value that a client sent.
    """
    frames = traceback.extract_tb(exc.__traceback__)[-depth:]
    places = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in reversed(frames)]
    return " < ".join([type(exc).__name__, *places])


class JsonLog:
    """Log that appends records to a file; `-` is standard output.

    Lines from the event loop are buffered until its next iteration and written in one call; lines
    from other threads are written at once. The file is reopened when a log rotation has moved it.
    """

    def __init__(self, path: Path) -> None:
        """Keep the path; nothing is opened before the first line."""
        self._path = path
        self._fd = 1 if path == _STDOUT else -1
        self._checked = 0.0
        self._lock = threading.Lock()
        self._lines: list[bytes] = []
        self._encoder = msgspec.json.Encoder()

    def event(self, level: str, message: str, model_version: str | None = None) -> None:
        """Log a process event."""
        self._put(EventRecord(now(), level, message, model_version))

    def request(self, record: RequestRecord) -> None:
        """Log a request."""
        self._put(record)

    def close(self) -> None:
        """Flush the buffer and close the file."""
        self._flush()
        if self._fd > 1:
            os.close(self._fd)
            self._fd = -1

    def _put(self, record: EventRecord | RequestRecord) -> None:
        # indent=0 keeps one line and puts a space after ":" and ",", which the runbook greps for.
        line = msgspec.json.format(self._encoder.encode(record), indent=0) + b"\n"
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._write(line)
            return
        self._lines.append(line)
        if len(self._lines) == 1:
            loop.call_soon(self._flush)

    def _flush(self) -> None:
        lines, self._lines = self._lines, []
        if lines:
            self._write(b"".join(lines))

    def _write(self, data: bytes) -> None:
        try:
            with self._lock:
                self._reopen()
                os.write(self._fd, data)
        except OSError as exc:
            # A full disk must not stop predictions; fall back to standard error.
            text = _("log {path}: {reason}", path=self._path, reason=system_reason(exc))
            sys.stderr.write(f"{text}\n")

    def _reopen(self) -> None:
        clock = time.monotonic()
        if self._path == _STDOUT or (self._fd >= 0 and clock - self._checked < _REOPEN_SECONDS):
            return
        self._checked = clock
        with suppress(FileNotFoundError):
            if self._fd >= 0 and os.path.samestat(self._path.stat(), os.fstat(self._fd)):
                return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        before = self._fd
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        if before >= 0:
            os.close(before)
