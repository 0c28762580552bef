"""uvicorn's HTTP protocol with limits on headers, time and connections.

uvicorn offers `timeout_keep_alive` and `backlog`, which are used. Its `limit_concurrency` also
rejects health checks with 503 and does not distinguish idle connections;
`h11_max_incomplete_event_size` belongs to its slower protocol; httptools, the fast one, has no
limit, and reports the trailers of a chunked body as headers. So this protocol counts bytes before
they are parsed, and checks all connections once a second: a request costs some attributes, no
timer.
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
"""Longest request line and headers; also the most bytes of a body in a row that are no data."""
HEAD_SECONDS = 10.0
"""Longest time for the headers to arrive, from the connection or their first byte on."""
KEEP_ALIVE_SECONDS = 75.0
"""Longest time that a connection stays open without a request."""
BACKLOG = 2048
"""Connections that the system queues until they are accepted, possibly all at once."""

_GRACE_SECONDS = 2.0
"""Time for sending a response that closes the connection."""
_DROPPED_BYTES = 1024 * 1024
"""Most bytes that are read and discarded during that time."""
_PIECE_BYTES = 64 * 1024
_LOOK_SECONDS = 1.0
_OTHER_FILES = 256
"""Open files that are no connections: journals, logs, downloads, pipes."""


class Connections:
    """The connections of one worker.

    Above `most` the one that has been idle longest is closed; `closed` is called with the reason of
    each connection that is closed for a limit.
    """

    def __init__(self, most: int, closed: Callable[[str], None]) -> None:
        """Start without any."""
        self.most, self.closed = most, closed
        self.all: set[LimitedProtocol] = set()
        self.idle: dict[LimitedProtocol, None] = {}
        self._looks = False

    def enter(self, one: "LimitedProtocol", loop: asyncio.AbstractEventLoop) -> None:
        """Add a new connection; above the limit, close the longest idle one, or the new one."""
        self.all.add(one)
        if len(self.all) > self.most:
            next(iter(self.idle), one).end("crowded")
        if one in self.all:
            self.idle[one] = None
        if not self._looks:
            self._looks = True
            loop.call_later(_LOOK_SECONDS, self._look, loop)

    def leave(self, one: "LimitedProtocol") -> None:
        """Remove a connection."""
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
    """One connection; `due` is its timeout, in event loop time."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Take the worker's connections from the state of the application's lifespan."""
        super().__init__(*args, **options)
        self._shared: Connections = self.app_state["connections"]
        self.due = math.inf
        self._in_head, self._refused, self._progress = True, False, False
        # Bytes of the head so far, or of a body since its last data; number of complete heads.
        self._unused = self._heads = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timeout of the headers."""
        super().connection_made(transport)
        self.due = self.loop.time() + HEAD_SECONDS
        self._shared.enter(self, self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection."""
        self._shared.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the received bytes, of a head no more than `MAX_HEAD_BYTES`."""
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
        """Accept a header; drop trailers, which follow the body."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the request's processing, and the timeout of the body."""
        self._in_head = False
        self._heads += 1
        self.due = self.loop.time() + BODY_SECONDS + _GRACE_SECONDS
        self._shared.idle.pop(self, None)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Accept a chunk of the body."""
        self._progress = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Suspend the timeout while the request is processed."""
        self._in_head = True
        self.due = math.inf
        self.scope["state"][WHOLE] = True
        super().on_message_complete()
        self._rest_if_idle()

    def on_response_complete(self) -> None:
        """Start the timeout of an idle connection."""
        super().on_response_complete()
        self._rest_if_idle()

    def _rest_if_idle(self) -> None:
        if self._in_head and self.cycle.response_complete and self in self._shared.all:
            self.due = self.loop.time() + KEEP_ALIVE_SECONDS
            self._shared.idle.pop(self, None)
            self._shared.idle[self] = None

    def overdue(self) -> None:
        """Close the connection after a timeout, unless a complete request is being processed."""
        answering = self.cycle is not None and not self.cycle.response_complete
        if self._refused:
            self.end(None)
        elif self.pipeline or (answering and self._in_head):
            # Pipelined data is not read while a request is being processed.
            self.due = math.inf
        elif self._in_head:
            self.end("idle" if self._heads and not self._unused else "head_too_slow")
        else:
            self.end("body_too_slow")

    def end(self, reason: str | None) -> None:
        """Close the connection at once, and count it under `reason` unless that is None."""
        if reason is not None:
            self._shared.closed(reason)
        self._shared.leave(self)
        self.transport.abort()

    def _refuse(self) -> None:
        """Respond 431, unless a response is under way, and accept no more data."""
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
        # Data in flight is read and discarded for a while: a TCP reset could discard the response.
        self.transport.write_eof()
        self._refused, self.due = True, self.loop.time() + _GRACE_SECONDS


def room_for(connections: int) -> tuple[int, int]:
    """Raise the limit of open files for `connections`, up to the hard limit.

    Returns the connections that it allows, and the listen backlog.
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
