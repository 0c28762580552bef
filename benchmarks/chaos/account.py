"""What a campaign saw: acknowledged rows, attempts, faults and flips, noted by many threads."""

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
    """A request that was answered with 200, wholly by one version.

    Attributes:
        version: the registry's number of the version that answered.
        scores: of its rows, in their order.
        person: whose rows they are.
    """

    version: int
    scores: tuple[float, ...]
    person: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request that was sent and not answered with 200; times are monotonic, in seconds.

    `opened` is when its connection was opened, `problem` what came instead of an answer.
    """

    opened: float
    sent: float
    ended: float
    problem: str


@dataclass(slots=True)
class Fault:
    """Something that was done to the system, from `began` to `ended` (monotonic, in seconds)."""

    kind: str
    began: float
    ended: float = float("inf")


@dataclass(frozen=True, slots=True)
class Flip:
    """An alias that was set, and how long an answer of the version before could still come.

    `lag` is None where the way to MLflow was disturbed meanwhile, or a process stood still.
    """

    at: float
    version: int
    lag: float | None


@dataclass
class Account:
    """Everything that is counted. Threads append; what is read at the end is complete then."""

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
        """Yield the person whose rows are sent now; their erasure waits until the answer came."""
        with self._lock:
            person = self.person
            self._waiting[person] += 1
        try:
            yield person
        finally:
            with self._lock:
                self._waiting[person] -= 1

    def next_person(self) -> None:
        """Send no more rows of the present person from now on."""
        with self._lock:
            self.person += 1

    def erasable(self) -> list[int]:
        """Return those of whom no row is under way, and who are not forgotten yet."""
        with self._lock:
            return [
                person
                for person in range(self.person)
                if not self._waiting[person] and self.forgotten.get(person) != "done"
            ]

    def fault(self, kind: str) -> Fault:
        """Note a fault that begins now; whoever made it says when it ended."""
        fault = Fault(kind, time.monotonic())
        self.faults.append(fault)
        return fault

    def killed(self, what: str) -> None:
        """Note a process that was killed just now."""
        now = time.monotonic()
        self.faults.append(Fault(f"kill {what}", now, now))

    def during(self, *kinds: str) -> bool:
        """Tell whether a fault of one of these kinds goes on."""
        now = time.monotonic()
        return any(f.kind.startswith(kinds) and f.ended > now for f in list(self.faults))

    def so_far(self) -> str:
        """Return what has happened until now, for whoever waits."""
        kills = sum(fault.kind.startswith("kill ") for fault in list(self.faults))
        requests, mixed = len(self.acknowledged), len(self.mixed)
        return (
            f"{kills} kills, {len(self.flips)} flips, {requests} requests answered, {mixed} mixed"
        )

    def note(self, text: str) -> None:
        """Keep a sentence for the report."""
        self.notes.append(text)


def write_json(path: Path, found: dict[str, Any]) -> None:
    """Write what was found for a machine to read."""
    path.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
