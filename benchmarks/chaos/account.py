"""Records of a campaign, appended by many threads: acknowledged rows, attempts, faults, flips."""

import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A request with status code 200 whose whole response comes from one version.

    Attributes:
        version: registry number of the version that served it.
        scores: of its rows, in their order.
        person: number of the person whose rows they are.
    """

    version: int
    scores: tuple[float, ...]
    person: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request without a response of status 200; times are monotonic, in seconds.

    `opened` is when its connection was opened; `problem` is the status and error code, or the
    connection's failure.
    """

    opened: float
    sent: float
    ended: float
    problem: str


@dataclass(slots=True)
class Fault:
    """A fault, injected or observed, from `began` to `ended` (monotonic, in seconds)."""

    kind: str
    began: float
    ended: float = float("inf")


@dataclass(frozen=True, slots=True)
class Flip:
    """A change of the alias, and the seconds until no response came from the version before.

    `lag` is None if the campaign ended or a fault of MLflow or of a process occurred meanwhile.
    """

    at: float
    version: int
    lag: float | None


@dataclass
class Account:
    """All records of a campaign; threads append to them, and they are read once all have ended."""

    acknowledged: dict[str, Acknowledged] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    flips: list[Flip] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    hostile: Counter[str] = field(default_factory=Counter)
    jobs: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    answers: list[tuple[float, int]] = field(default_factory=list)
    forgotten: dict[int, str] = field(default_factory=dict)
    person: int = 0
    _waiting: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def asking(self) -> Iterator[int]:
        """Yield the person whose rows are sent now, who is not erasable until the block ends."""
        with self._lock:
            person = self.person
            self._waiting[person] += 1
        try:
            yield person
        finally:
            with self._lock:
                self._waiting[person] -= 1

    def next_person(self) -> None:
        """Send rows of the next person from now on."""
        with self._lock:
            self.person += 1

    def erasable(self) -> list[int]:
        """Return earlier persons without requests in flight whose erasure is not done."""
        with self._lock:
            return [
                person
                for person in range(self.person)
                if not self._waiting[person] and self.forgotten.get(person) != "done"
            ]

    def fault(self, kind: str) -> Fault:
        """Record a fault that begins now, and return it; the caller sets its end."""
        fault = Fault(kind, time.monotonic())
        self.faults.append(fault)
        return fault

    def killed(self, what: str) -> None:
        """Record the kill of a process now."""
        now = time.monotonic()
        self.faults.append(Fault(f"kill {what}", now, now))

    def during(self, *kinds: str) -> bool:
        """Return whether a fault whose kind has one of these prefixes is in progress."""
        now = time.monotonic()
        return any(f.kind.startswith(kinds) and f.ended > now for f in list(self.faults))

    def so_far(self) -> str:
        """Return a progress line: kills, flips, requests served, mixed responses."""
        kills = sum(fault.kind.startswith("kill ") for fault in list(self.faults))
        requests, mixed = len(self.acknowledged), len(self.mixed)
        return (
            f"{kills} kills, {len(self.flips)} flips, {requests} requests answered, {mixed} mixed"
        )

    def note(self, text: str) -> None:
        """Add a sentence to the report."""
        self.notes.append(text)


def write_json(path: Path, found: dict[str, Any]) -> None:
    """Write the findings as JSON."""
    path.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
