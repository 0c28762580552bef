"""Progress output of commands: the current step, a progress bar, and the time per step."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from core.cli import arguments
from core.messages import N_, _
from core.messages.formats import number, percent

_WIDTH = 24

STEPS: Mapping[str, str] = {
    "read": N_("read the workbook"),
    "import": N_("import"),
    "check": N_("check"),
    "fit": N_("fit for serving"),
    "evaluate": N_("evaluate"),
    "splits": N_("repeat on children held out"),
    "gate": N_("judge"),
    "log": N_("log to MLflow"),
    "baseline": N_("baseline"),
    "promote": N_("promote"),
}
"""Steps of a retraining: the name used in metrics, and the text shown to the operator."""


def say(text: str) -> None:
    """Print one step and flush."""
    arguments.say(f"→ {text}")


class Clock:
    """Seconds per named step of one command, in the order in which they were started."""

    def __init__(self) -> None:
        """Start with no step."""
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Add the time spent in the block to a step's; `name` is one of `STEPS`."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - begun
            self.seconds[name] = self.seconds.get(name, 0.0) + spent

    def __str__(self) -> str:
        """Return the total time and each step's share, as one line."""
        shares = ", ".join(
            f"{_(STEPS[name])} {percent(share, 0)}" for name, share in self.shares().items()
        )
        return f"{sum(self.seconds.values()):.0f} s ({shares})"

    def shares(self) -> dict[str, float]:
        """Return each step's share of the total time; empty before the first step."""
        whole = sum(self.seconds.values())
        return {name: spent / whole for name, spent in self.seconds.items()} if whole else {}


class Bar:
    """A progress bar over a known number of work items.

    On a terminal the line is redrawn; in a file it is written once, when it is complete, so that a
    log does not repeat it.
    """

    def __init__(self, title: str, pieces: int) -> None:
        """Start an empty bar of `pieces` items."""
        self._title, self._pieces, self._done = title, pieces, 0
        self._begun = time.perf_counter()

    def tick(self) -> None:
        """Count one item as done."""
        self._done += 1
        full = self._done >= self._pieces
        if not (full or sys.stdout.isatty()):
            return
        filled = _WIDTH * self._done // self._pieces
        spent = time.perf_counter() - self._begun
        start = "\r" if sys.stdout.isatty() else ""
        bar = "█" * filled + "·" * (_WIDTH - filled)
        done = f"{self._done}/{self._pieces} {self._title}, {number(spent, 1)} s"
        sys.stdout.write(f"{start}  {bar} {done}")
        sys.stdout.write("\n" if full else "")
        sys.stdout.flush()
