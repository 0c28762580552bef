"""Service levels over the last hour and day, against the targets of runbook §5.2.

This costs a request nothing. A thread of each worker reads the existing counters twice a second and
adds their increments to the current slice of five minutes. The slices of all workers, also of those
that have ended, are added up when they are read.

Availability is measured in time, since a few requests a day give no reliable rate: the share of the
workers' running seconds in which they could serve. A second is down when no model is loaded,
when the process stalled, and while scoring requests fail with 5xx and none succeeds, for at most a
minute after the last failure. The downtime of a stopped server is not measured.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, zip_longest

import msgspec

SLICE_SECONDS = 300
HOUR, DAY = 3600, 86_400

LATENCY_TARGET = 0.2
ERROR_TARGET = 0.01
AVAILABILITY_TARGET = 0.99
"""Targets of runbook §5.2: p95 in seconds, share of 5xx, share of time."""

_STALL_SECONDS = 5.0
"""Longest time between two reads of the counters; beyond it the process counts as stalled."""
_FAILING_SECONDS = 60.0
"""How long a failure of all requests counts after the last of them."""


class ServiceTally(msgspec.Struct, frozen=True, array_like=True):
    """Scoring requests, those with a 5xx response, seconds running and down, latencies by bound."""

    requests: int = 0
    errors: int = 0
    lived: float = 0.0
    down: float = 0.0
    latencies: tuple[int, ...] = ()

    def __add__(self, other: "ServiceTally") -> "ServiceTally":
        """Return the sum."""
        counts = zip_longest(self.latencies, other.latencies, fillvalue=0)
        return ServiceTally(
            self.requests + other.requests,
            self.errors + other.errors,
            self.lived + other.lived,
            self.down + other.down,
            tuple(map(sum, counts)),
        )


class Slices(msgspec.Struct, frozen=True):
    """When a worker began to serve, and its tallies by number of slice; JSON-serialisable.

    Times are of the machine's monotonic clock, which its processes share.
    """

    since: float | None = None
    tallies: dict[int, ServiceTally] = msgspec.field(default_factory=dict)


class Failing:
    """Whether all requests fail: for a minute after a read at which every new one had failed."""

    def __init__(self) -> None:
        """Start without a failure."""
        self._before, self._at = (0, 0), -math.inf

    def look(self, requests: int, failed: int, now: float) -> None:
        """Update from the counts up to `now`, in monotonic seconds."""
        before, self._before = self._before, (requests, failed)
        if new := requests - before[0]:
            self._at = now if new == failed - before[1] else -math.inf

    def still(self, now: float) -> bool:
        """Return whether all requests fail at `now`, in monotonic seconds."""
        return now - self._at < _FAILING_SECONDS


class Watch:
    """One worker's slices of the last day, made from its counters."""

    def __init__(self) -> None:
        """Start empty; nothing is counted before `begin`."""
        self.slices = Slices()
        self.lived = self.down = 0.0
        self._at = 0.0
        self._before, self._failing = ServiceTally(), Failing()

    def begin(self, now: float | None = None) -> None:
        """Start counting seconds: requests are accepted from now on."""
        self._at = time.monotonic() if now is None else now
        self.slices = Slices(self._at)

    def look(self, counted: ServiceTally, ready: bool, now: float | None = None) -> None:
        """Add the increments since the last call, given the counts since the worker started.

        `ready` is whether a model is loaded; `now` monotonic seconds, None for the clock's.
        """
        if self.slices.since is None:
            return
        now = time.monotonic() if now is None else now
        before, elapsed = self._before, now - self._at
        requests, errors = counted.requests - before.requests, counted.errors - before.errors
        self._failing.look(counted.requests, counted.errors, now)
        stalled = elapsed > _STALL_SECONDS
        down = elapsed if stalled or not ready or self._failing.still(now) else 0.0
        counts = zip_longest(counted.latencies, before.latencies, fillvalue=0)
        grown = tuple(a - b for a, b in counts)
        self._add(int(now // SLICE_SECONDS), ServiceTally(requests, errors, elapsed, down, grown))
        self.lived += elapsed
        self.down += down
        self._at, self._before = now, counted

    def _add(self, number: int, tally: ServiceTally) -> None:
        tallies = self.slices.tallies
        if number not in tallies:
            for old in [n for n in tallies if n < number - DAY // SLICE_SECONDS]:
                del tallies[old]
        tallies[number] = tallies.get(number, ServiceTally()) + tally


@dataclass(frozen=True, slots=True)
class LevelWindow:
    """The tally of the last `seconds` (and up to a slice more); `covered` of them were observed."""

    seconds: int
    covered: float
    tally: ServiceTally

    @property
    def complete(self) -> bool:
        """Return whether the server has run for the whole window."""
        return self.covered >= self.seconds


@dataclass(frozen=True, slots=True)
class Level:
    """One measure against its target; `met` is None where it cannot be judged (yet)."""

    value: float | None
    met: bool | None


@dataclass(frozen=True, slots=True)
class Levels:
    """The three measures of one window: p95 in seconds, share of errors, share of time."""

    window: LevelWindow
    latency: Level
    errors: Level
    availability: Level


def window(workers: Sequence[Slices], now: float, seconds: int) -> LevelWindow:
    """Return the sum of the workers' slices that reach into the last `seconds`."""
    first = int((now - seconds) // SLICE_SECONDS)
    total = ServiceTally()
    for worker in workers:
        for number, tally in list(worker.tallies.items()):  # its worker may add one concurrently
            if number >= first:
                total += tally
    begun = [worker.since for worker in workers if worker.since is not None]
    covered = min(now - min(begun), seconds) if begun else 0.0
    return LevelWindow(seconds, covered, total)


def levels(over: LevelWindow, bounds: Sequence[float]) -> Levels:
    """Compare a window with the targets; `bounds` are those of the latencies, in seconds."""
    tally = over.tally
    p95 = percentile_95(tally.latencies, bounds)
    share = tally.errors / tally.requests if tally.requests else None
    return Levels(
        over,
        Level(p95, None if p95 is None else p95 < LATENCY_TARGET),
        Level(share, None if share is None else share < ERROR_TARGET),
        _availability(over),
    )


def _availability(over: LevelWindow) -> Level:
    """Compare the availability with its target; early in a window a miss is left undecided.

    The target is missed when even an uninterrupted rest of the window could not meet it.
    """
    tally = over.tally
    if tally.lived <= 0:
        return Level(None, None)
    up = 1 - tally.down / tally.lived
    if up > AVAILABILITY_TARGET:
        return Level(up, True)
    at_best = 1 - (1 - up) * min(over.covered / over.seconds, 1.0)
    return Level(up, None if at_best > AVAILABILITY_TARGET else False)


def percentile_95(counts: Sequence[int], bounds: Sequence[float]) -> float | None:
    """Return the p95 of counts by upper bound, as Prometheus's `histogram_quantile` does.

    Linear within a bound; infinite beyond the last bound, where Prometheus returns that bound. None
    without counts.
    """
    sums = list(accumulate(counts))
    if not sums or not sums[-1]:
        return None
    rank = 0.95 * sums[-1]
    place = next(i for i, total in enumerate(sums) if total >= rank)
    if place >= len(bounds):
        return math.inf
    low = bounds[place - 1] if place else 0.0
    below = sums[place - 1] if place else 0
    return low + (bounds[place] - low) * (rank - below) / counts[place]
