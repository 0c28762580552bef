"""What a client may hold: uvicorn's protocol with limits on headers, time and connections.

uvicorn offers `timeout_keep_alive` and `backlog`, which are used. Its `limit_concurrency` answers
503 to health checks as well and knows no idle connection; `h11_max_incomplete_event_size` belongs
to its slower protocol; httptools, the fast one, has no limit, and hands the trailers of a chunked
body over as headers. So this counts bytes before they are parsed, and looks at all connections once
a second: a request pays for some attributes, no timer.
"""

import asyncio
import math
import resource
from collections.abc import Callable
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serving.engine.context import RequestContext
from serving.errors import HeadersTooLarge
from serving.http.bodies import BODY_SECONDS, WHOLE
from serving.http.middleware import error_body

MAX_HEAD_BYTES = 32 * 1024
"""Longest request line and headers; as long may be what a body sends besides data."""
HEAD_SECONDS = 10.0
"""Longest time in which the headers arrive, from the connection or their first byte on."""
KEEP_ALIVE_SECONDS = 75.0
"""Longest time that a connection stays open without a request."""
BACKLOG = 2048
"""Connections that the system keeps until they are accepted; all of them may be at once."""

_GRACE_SECONDS = 2.0
"""Time for an answer that says that the connection is closed."""
_DROPPED_BYTES = 1024 * 1024
"""Most bytes that are read and dropped meanwhile."""
_PIECE_BYTES = 64 * 1024
_LOOK_SECONDS = 1.0
_OTHER_FILES = 256
"""Files that are no connections: journals, logs, downloads, pipes."""


class Connections:
    """The connections of one worker.

    At `most` the one that has been idle longest is closed; `closed` is told the reason of each that
    is closed for a limit.
    """

    def __init__(self, most: int, closed: Callable[[str], None]) -> None:
        """Begin without any."""
        self.most, self.closed = most, closed
        self.all: set[LimitedProtocol] = set()
        self.idle: dict[LimitedProtocol, None] = {}
        self._looks = False

    def enter(self, one: "LimitedProtocol", loop: asyncio.AbstractEventLoop) -> None:
        """Take a new connection; where there is no room, the longest idle one goes, or itself."""
        self.all.add(one)
        if len(self.all) > self.most:
            next(iter(self.idle), one).end("crowded")
        if one in self.all:
            self.idle[one] = None
        if not self._looks:
            self._looks = True
            loop.call_later(_LOOK_SECONDS, self._look, loop)

    def leave(self, one: "LimitedProtocol") -> None:
        """Forget a connection."""
        self.all.discard(one)
        self.idle.pop(one, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for one in [one for one in self.all if one.due < now]:
            one.overdue()
        self._looks = bool(self.all)
        if self._looks:
            loop.call_later(_LOOK_SECONDS, self._look, loop)


class LimitedProtocol(HttpToolsProtocol):
    """One connection. Its `due` is the loop's time at which it is closed."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Find the worker's connections, which the application's lifespan has made."""
        super().__init__(*args, **options)
        self._shared: Connections = self.app_state["connections"]
        self.due = math.inf
        self._in_head, self._refused, self._progress = True, False, False
        # Bytes of the head so far, or of a body since its last data; heads that were whole.
        self._unused = self._heads = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for headers."""
        super().connection_made(transport)
        self.due = self.loop.time() + HEAD_SECONDS
        self._shared.enter(self, self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._shared.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has come, no more of a head than it may have."""
        if self._refused:
            self._unused += len(data)
            if self._unused > _DROPPED_BYTES:
                self.end(None)
            return
        while data and not self._refused and not self.transport.is_closing():
            most = MAX_HEAD_BYTES - self._unused if self._in_head else _PIECE_BYTES
            piece, data = data[:most], data[most:]
            self._parse(piece)

    def _parse(self, piece: bytes) -> None:
        in_head, heads, self._progress = self._in_head, self._heads, False
        if in_head and not self._unused:
            self.due = min(self.due, self.loop.time() + HEAD_SECONDS)
        super().data_received(piece)
        same = in_head == self._in_head and heads == self._heads and not self._progress
        self._unused = self._unused + len(piece) if same else 0
        if self._unused >= MAX_HEAD_BYTES:
            self._refuse()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; what comes after the body (a trailer) is none."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer, and to wait for the body."""
        self._in_head = False
        self._heads += 1
        self.due = self.loop.time() + BODY_SECONDS + _GRACE_SECONDS
        self._shared.idle.pop(self, None)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._progress = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for nothing more while the request is answered."""
        self._in_head = True
        self.due = math.inf
        self.scope["state"][WHOLE] = True
        super().on_message_complete()
        self._rest_if_idle()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        self._rest_if_idle()

    def _rest_if_idle(self) -> None:
        if self._in_head and self.cycle.response_complete and self in self._shared.all:
            self.due = self.loop.time() + KEEP_ALIVE_SECONDS
            self._shared.idle.pop(self, None)
            self._shared.idle[self] = None

    def overdue(self) -> None:
        """Close the connection: what was due has not come."""
        answering = self.cycle is not None and not self.cycle.response_complete
        if self._refused:
            self.end(None)
        elif self.pipeline or (answering and self._in_head):
            # What comes after a request that is being answered is not read meanwhile.
            self.due = math.inf
        elif self._in_head:
            self.end("idle" if self._heads and not self._unused else "head_too_slow")
        else:
            self.end("body_too_slow")

    def end(self, reason: str | None) -> None:
        """Close the connection at once, and count it under a reason."""
        if reason is not None:
            self._shared.closed(reason)
        self._shared.leave(self)
        self.transport.abort()

    def _refuse(self) -> None:
        """Answer 431, unless an answer is under way, and take nothing more."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.end("head_too_large")
            return
        self._shared.closed("head_too_large")
        self._shared.idle.pop(self, None)
        self._unset_keepalive_if_required()
        error = HeadersTooLarge(limit=MAX_HEAD_BYTES)
        body = msgspec.json.encode(error_body(error, RequestContext(None)))
        head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        self.transport.write(STATUS_LINE[error.status] + head % len(body) + body)
        # What is on its way is read and dropped for a while: a reset would take the answer along.
        self.transport.write_eof()
        self._refused, self.due = True, self.loop.time() + _GRACE_SECONDS


def room_for(connections: int) -> tuple[int, int]:
    """Raise the limit of open files for so many connections, as far as this user may.

    Returns how many there may be, and how many may wait to be accepted.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + BACKLOG + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections, BACKLOG
    room = max(soft - _OTHER_FILES, 2)
    backlog = min(BACKLOG, room // 2)
    return min(connections, room - backlog), backlog
