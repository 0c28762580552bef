"""Reception of request bodies, with limits on size, time and the total of a worker."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import Receive, Scope

from serving.errors import BodyTooLarge, BodyTooSlow, Overloaded, UnsupportedEncoding

BODY_SECONDS = 30.0
"""Longest time that a body may take to arrive, so that idle senders do not accumulate."""
INLINE_BYTES = 128 * 1024
"""Length up to which a body is parsed on the event loop as soon as it is complete."""
MOST_BYTES = 128 * 2**20
"""Most bytes of bodies, incomplete or waiting to be parsed, that a worker holds at a time."""
WHOLE = "whole_body"
"""Key in the state of a request's scope, set once its body is complete."""
_CROWDED = 0.0
"""Deadline in the past, in event loop time, that marks a body ended for want of room."""


class Bodies:
    """Byte count of one worker's bodies that are incomplete or wait to be parsed.

    Above the limit the oldest incomplete one is ended, since an ordinary client has sent its body
    within milliseconds. A short body that arrives in one piece is not counted.
    """

    def __init__(self, most: int = MOST_BYTES) -> None:
        """Start without any."""
        self._most, self._total = most, 0
        self.shed = 0
        self._unfinished: dict[asyncio.Timeout, int] = {}

    def take(self, clock: asyncio.Timeout, size: int) -> None:
        """Count a chunk of the body with timeout `clock`; above the limit, end the oldest body."""
        self._unfinished[clock] = self._unfinished.get(clock, 0) + size
        self._total += size
        if self._total > self._most:
            oldest = next(iter(self._unfinished))
            # It is released in a later iteration of the event loop; end no other until then.
            if not oldest.expired():
                oldest.reschedule(_CROWDED)

    def leave(self, clock: asyncio.Timeout) -> None:
        """Release a body: it is complete, or its reception has ended otherwise."""
        self._total -= self._unfinished.pop(clock, 0)

    @contextmanager
    def waiting(self, body: bytes) -> Iterator[None]:
        """Count a complete body while it waits to be parsed.

        Raises:
            Overloaded: there is no room for it.
        """
        if self._total and self._total + len(body) > self._most:
            self.shed += 1
            raise Overloaded
        self._total += len(body)
        try:
            yield
        finally:
            self._total -= len(body)


def bodies_of(scope: Scope) -> Bodies:
    """Return the body count of this worker."""
    found: Bodies = scope["state"]["bodies"]
    return found


def stated_length(scope: Scope) -> int:
    """Return the length in bytes that `Content-Length` states; 0 where it is missing."""
    said = (value for name, value in scope["headers"] if name == b"content-length")
    return max((int(value) for value in said if value.isdigit()), default=0)


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """Return the complete body.

    Raises:
        UnsupportedEncoding: it is compressed.
        BodyTooLarge: it is longer than `limit` bytes, stated or received; the rest is not read.
        BodyTooSlow: it is not complete within `BODY_SECONDS`.
        Overloaded: it was ended because the worker's bodies exceeded their limit.
    """
    if stated_length(scope) > limit:
        raise BodyTooLarge(limit=limit)
    for name, value in scope["headers"]:
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            raise UnsupportedEncoding
    if WHOLE in scope.get("state", ()):
        # The body is here: a timer would cost more than parsing it.
        message = await receive()
        body: bytes = message.get("body", b"")
    else:
        body = await _arriving(scope, receive, limit)
    if len(body) > limit:
        raise BodyTooLarge(limit=limit)
    return body


async def _arriving(scope: Scope, receive: Receive, limit: int) -> bytes:
    """Return an arriving body; of one that is too long, only a part longer than `limit`."""
    clock = asyncio.timeout(BODY_SECONDS)
    try:
        async with clock:
            message = await receive()
            body: bytes = message.get("body", b"")
            if message.get("more_body", False):
                body = await _rest(body, receive, limit, clock, bodies_of(scope))
    except TimeoutError:
        if clock.when() == _CROWDED:
            bodies_of(scope).shed += 1
            raise Overloaded from None
        raise BodyTooSlow(seconds=BODY_SECONDS) from None
    return body


async def _rest(
    first: bytes, receive: Receive, limit: int, clock: asyncio.Timeout, bodies: Bodies
) -> bytes:
    """Return the body that begins with `first`; of one too long, a part longer than `limit`."""
    parts, size, more = [first], len(first), True
    bodies.take(clock, size)
    try:
        while more and size <= limit:
            message = await receive()
            part: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            parts.append(part)
            size += len(part)
            bodies.take(clock, len(part))
    finally:
        bodies.leave(clock)
    return b"".join(parts)
