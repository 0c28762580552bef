"""Bodies of requests as they arrive: how long, how slowly, and how much of all of them at once."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import Receive, Scope

from serving.errors import BodyTooLarge, BodyTooSlow, Overloaded, UnsupportedEncoding

BODY_SECONDS = 30.0
"""Longest time that a body may take to arrive, so that idle senders do not pile up."""
INLINE_BYTES = 128 * 1024
"""Length up to which a body is parsed on the event loop as soon as it is there."""
MOST_BYTES = 128 * 2**20
"""Most bytes of bodies, unfinished or waiting to be parsed, that a worker keeps at a time."""
WHOLE = "whole_body"
"""Key of the state in a request's scope once all of its body is there."""
_CROWDED = 0.0
"""Time of the loop, long past, at which a body ends that others leave no room."""


class Bodies:
    """The bodies of one worker that are not parsed yet, but for those that come in one piece.

    Where they are too much, the oldest unfinished one ends: whoever sends as clients do is done
    within milliseconds.
    """

    def __init__(self, most: int = MOST_BYTES) -> None:
        """Begin without any."""
        self._most, self._total = most, 0
        self.shed = 0
        self._unfinished: dict[asyncio.Timeout, int] = {}

    def take(self, clock: asyncio.Timeout, size: int) -> None:
        """Count a piece of the body whose time `clock` measures; end the oldest if need be."""
        self._unfinished[clock] = self._unfinished.get(clock, 0) + size
        self._total += size
        if self._total > self._most:
            oldest = next(iter(self._unfinished))
            # It leaves at a later turn of the event loop; until then nobody else has to.
            if not oldest.expired():
                oldest.reschedule(_CROWDED)

    def leave(self, clock: asyncio.Timeout) -> None:
        """Forget a body: it is whole, or its sender has gone."""
        self._total -= self._unfinished.pop(clock, 0)

    @contextmanager
    def waiting(self, body: bytes) -> Iterator[None]:
        """Count a whole body as long as it waits to be parsed.

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
    """Return the bodies of the worker that answers."""
    found: Bodies = scope["state"]["bodies"]
    return found


def stated_length(scope: Scope) -> int:
    """Return what a request says of the length of its body, in bytes; 0 where it says nothing."""
    said = (value for name, value in scope["headers"] if name == b"content-length")
    return max((int(value) for value in said if value.isdigit()), default=0)


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """Return the whole body.

    Raises:
        UnsupportedEncoding: it is compressed.
        BodyTooLarge: it is longer than `limit` bytes, said or found; the rest is not read.
        BodyTooSlow: it has not come whole within `BODY_SECONDS`.
        Overloaded: others came meanwhile, and all of them were too much.
    """
    if stated_length(scope) > limit:
        raise BodyTooLarge(limit=limit)
    for name, value in scope["headers"]:
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            raise UnsupportedEncoding
    if WHOLE in scope.get("state", ()):
        # A timer for what needs no wait would cost more than to parse it.
        message = await receive()
        body: bytes = message.get("body", b"")
    else:
        body = await _arriving(scope, receive, limit)
    if len(body) > limit:
        raise BodyTooLarge(limit=limit)
    return body


async def _arriving(scope: Scope, receive: Receive, limit: int) -> bytes:
    """Return a body that is on its way, or as much of it as shows that it is too long."""
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
    """Return the body that begins so, or as much of it as shows that it is too long."""
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
