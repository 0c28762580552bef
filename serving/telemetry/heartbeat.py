"""Signs of life of what works in the background: a part that hangs raises no exception.

Every thread and child process of a worker has one. Whoever asks for the health of the worker reads
them; nothing waits for them, so a part that hangs cannot take the answer along.
"""

import math
import time

from core.messages import _


class Heartbeat:
    """When a `part` was last seen at work, and when it has to be seen again."""

    __slots__ = ("_at", "_due", "part")

    def __init__(self, part: str) -> None:
        """Expect nothing before the first `beat`; `part` is what `/metrics` and reasons call it."""
        self.part = part
        self.rest()

    def beat(self, within: float) -> None:
        """Note that the part is alive and will beat again within so many seconds."""
        self._at = time.monotonic()
        self._due = self._at + within

    def rest(self) -> None:
        """Note that the part has nothing to do, or has ended: nothing is expected."""
        self._at = self._due = math.inf

    def age(self) -> float:
        """Return the seconds since the last beat; 0 while it rests."""
        return max(0.0, time.monotonic() - self._at)

    def problem(self) -> str | None:
        """Return that the part is overdue, for people; None while it is not."""
        if time.monotonic() <= self._due:
            return None
        return _(
            "no sign of life from the part {part} for {seconds} s",
            part=self.part,
            seconds=round(self.age()),
        )
