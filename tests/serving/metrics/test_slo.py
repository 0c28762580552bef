"""Service levels: windows over slices, verdicts by the runbook's targets, availability."""

import math
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from serving.metrics.counters import Metrics
from serving.metrics.families import LATENCY_BOUNDS
from serving.metrics.slo import (
    DAY,
    HOUR,
    SLICE_SECONDS,
    Level,
    ServiceTally,
    Slices,
    Watch,
    levels,
    percentile_95,
)
from serving.metrics.slo import window as window_of
from serving.telemetry.logs import RequestRecord

BOUNDS = LATENCY_BOUNDS
START = 1_000_000.0


def latencies(**at: int) -> tuple[int, ...]:
    """Return counts by bound: `fast` under 1 ms, `slow` between 200 and 300 ms."""
    counts = [0] * (len(BOUNDS) + 1)
    counts[0] = at.get("fast", 0)
    counts[BOUNDS.index(0.3)] = at.get("slow", 0)
    return tuple(counts)


def seen(*spans: tuple[float, int, int, bool]) -> Watch:
    """Return a watch after spans of (seconds, new requests, new errors, ready)."""
    watch, now, requests, errors = Watch(), START, 0, 0
    watch.begin(now)
    for seconds, new, failed, ready in spans:
        requests, errors, now = requests + new, errors + failed, now + seconds
        counted = ServiceTally(requests, errors, latencies=latencies(fast=requests))
        watch.look(counted, ready, now)
    return watch


def up(watch: Watch, now: float) -> float | None:
    """Return the availability over the last hour."""
    return levels(window_of([watch.slices], now, HOUR), BOUNDS).availability.value


def test_a_window_holds_its_seconds_and_forgets_the_rest() -> None:
    """Requests older than an hour count in the day only; those older than a day are dropped."""
    watch, now = Watch(), START
    watch.begin(now)
    for hour in range(30):
        now = START + hour * 3600
        watch.look(
            ServiceTally(10 * (hour + 1), hour + 1, latencies=latencies(fast=10 * hour)), True, now
        )
    hour = window_of([watch.slices], now, HOUR)
    day = window_of([watch.slices], now, DAY)
    # The slice of the window's first second counts as a whole.
    assert (hour.tally.requests, hour.tally.errors) == (20, 2)
    assert (day.tally.requests, day.tally.errors) == (250, 25)
    assert len(watch.slices.tallies) <= DAY // SLICE_SECONDS + 1
    later = window_of([watch.slices], now + 2 * DAY, DAY)
    assert later.tally == ServiceTally()


def test_a_window_longer_than_the_server_says_so() -> None:
    """The covered time begins with the first worker; a window is complete once it is covered."""
    watch = seen((30.0, 1, 0, True))
    young = window_of([watch.slices, Slices(START + 20)], START + 30, HOUR)
    assert (young.covered, young.complete) == (30.0, False)
    assert window_of([watch.slices], START + 4000, HOUR).complete
    assert window_of([], START, HOUR).covered == 0.0


def test_workers_add_up_whether_they_live_or_not() -> None:
    """Requests, errors and time are summed over workers; slices survive a JSON round trip."""
    one, two = seen((4.0, 4, 1, True)), seen((4.0, 6, 0, True), (4.0, 0, 0, False))
    read = msgspec.json.decode(msgspec.json.encode(two.slices), type=Slices)
    assert read == two.slices
    both = window_of([one.slices, read], START + 20, HOUR).tally
    assert (both.requests, both.errors, both.lived, both.down) == (10, 1, 12.0, 4.0)
    assert sum(both.latencies) == 10


@pytest.mark.parametrize(
    ("spans", "share"),
    [
        ([(100.0, 0, 0, True)], 0.0),  # no read for 100 s: the process was stalled
        ([(1.0, 0, 0, True)] * 100, 1.0),
        ([(1.0, 0, 0, True)] * 75 + [(1.0, 0, 0, False)] * 25, 0.75),
        ([(1.0, 5, 2, True)] * 100, 1.0),  # some requests succeed: not down, but an error rate
        ([(1.0, 2, 2, True)] * 50 + [(1.0, 2, 0, True)] * 50, 0.5),
        ([(1.0, 1, 1, True)] + [(1.0, 0, 0, True)] * 99, 0.4),  # one single failure: a minute
        (([(1.0, 1, 1, True)] + [(1.0, 0, 0, True)] * 29) * 4, 0.0),  # two a minute, all failed
    ],
)
def test_availability_is_time_in_which_an_answer_was_to_be_had(
    spans: list[tuple[float, int, int, bool]], share: float
) -> None:
    """Down: no model, a stalled process, or only failures, up to a minute after the last one."""
    watch = seen(*spans)
    now = START + sum(span[0] for span in spans)
    assert up(watch, now) == pytest.approx(share)


def test_nothing_counts_before_requests_are_taken() -> None:
    """A worker that does not accept requests yet is neither up nor down."""
    watch = Watch()
    watch.look(ServiceTally(), False, START)
    assert watch.slices == Slices()
    assert up(watch, START) is None


def test_verdicts_are_the_runbooks() -> None:
    """Met: 96 % under 200 ms, 0.9 % errors; missed: 94 %, 1 %; no verdict without requests."""

    def judged(fast: int, slow: int, errors: int) -> Any:
        tally = ServiceTally(fast + slow, errors, 1000.0, 5.0, latencies(fast=fast, slow=slow))
        return levels(window_of([Slices(-DAY, {0: tally})], 0.0, HOUR), BOUNDS)

    assert judged(96, 4, 0).latency.met
    assert not judged(94, 6, 0).latency.met
    assert judged(1000, 0, 9).errors == Level(0.009, True)
    assert judged(100, 0, 1).errors == Level(0.01, False)
    assert judged(100, 0, 0).availability == Level(0.995, True)
    none = judged(0, 0, 0)
    assert none.latency == none.errors == Level(None, None)


@pytest.mark.parametrize(
    ("age", "down", "met"),
    [
        (300, 5.0, None),
        (300, 1.0, True),
        (300, 40.0, False),
        (HOUR, 40.0, False),
        (HOUR, 5.0, True),
    ],
)
def test_a_young_server_is_not_judged_by_how_it_started(
    age: int, down: float, met: bool | None
) -> None:
    """A young server's small downtime is undecided; one beyond the hour's budget is a miss."""
    slices = Slices(
        START - age, {int(START // SLICE_SECONDS): ServiceTally(0, 0, float(age), down)}
    )
    assert levels(window_of([slices], START, HOUR), BOUNDS).availability.met is met


def test_the_quantile_is_within_its_bucket_of_the_true_one() -> None:
    """The p95 lies in the true value's bucket; beyond the last bound it is infinite."""
    rng = np.random.default_rng(3)
    for scale in (0.002, 0.05, 0.4):
        values = rng.exponential(scale, 5000)
        counts = np.bincount(np.searchsorted(BOUNDS, values), minlength=len(BOUNDS) + 1)
        found = percentile_95(counts.tolist(), BOUNDS)
        true = float(np.quantile(values, 0.95))
        place = int(np.searchsorted(BOUNDS, true))
        low = BOUNDS[place - 1] if place else 0.0
        assert found is not None
        assert low <= found <= BOUNDS[place]
    assert percentile_95([0, 0, 7], (1.0, 2.0)) == math.inf
    assert percentile_95([], BOUNDS) is None
    assert percentile_95([0] * 16, BOUNDS) is None


def test_only_scoring_routes_count(tmp_path: Path) -> None:
    """Only requests to scoring routes count in the service levels."""
    metrics = Metrics(tmp_path, dict)
    metrics.start()
    metrics.serving()
    for path, status in (("/predict", 200), ("/invocations", 500), ("/health", 200), ("-", 404)):
        told = ("i", "POST", path, status, 3.0, None, None, None)
        metrics.request(RequestRecord("", "INFO", "", *told))
    metrics.close()
    (part,) = [part for part in metrics.parts() if part.slices.since is not None]
    tally = window_of([part.slices], time.monotonic(), HOUR).tally
    assert (tally.requests, tally.errors, sum(tally.latencies)) == (2, 1, 2)
    assert 0 < tally.lived < 60
