"""Heartbeats of background parts, since a part that hangs raises no exception.

Every thread and child process of a worker has one. Health checks read them without waiting, so a
part that hangs cannot block the response.
"""

import math
import time

from core.messages import _


class Heartbeat:
    """Time of the last heartbeat of a `part`, and the deadline of its next one."""

    __slots__ = ("_at", "_due", "part")

    def __init__(self, part: str) -> None:
        """Set no deadline before the first `beat`; `part` is its name in `/metrics` and reasons."""
        self.part = part
        self.rest()

    def beat(self, within: float) -> None:
        """Record a heartbeat; the next one is due within `within` seconds."""
        self._at = time.monotonic()
        self._due = self._at + within

    def rest(self) -> None:
        """Clear the deadline: the part is idle, or has ended."""
        self._at = self._due = math.inf

    def age(self) -> float:
        """Return the seconds since the last beat; 0 while the part rests."""
        return max(0.0, time.monotonic() - self._at)

    def problem(self) -> str | None:
        """Return the message that the part is overdue; None while it is not."""
        if time.monotonic() <= self._due:
            return None
        return _(
            "no sign of life from the part {part} for {seconds} s",
            part=self.part,
            seconds=round(self.age()),
        )
