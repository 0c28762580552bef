"""Counters of a worker: plain numbers in its memory, published to a file for the other workers.

Counting costs about a microsecond a request. Every worker writes its numbers to a file of its own
twice a second, and the worker that serves a `/metrics` request adds them up
(`serving.metrics.exposition`).
"""

import contextlib
import os
import threading
import time
import uuid
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from core.files.locks import is_held, lock
from core.files.whole import replacing
from core.messages import _
from serving.config.model_paths import plain
from serving.engine.job import Job
from serving.metrics.families import FAMILIES, LATENCY_BOUNDS, Labels, MetricSpec
from serving.metrics.kept import KeptLevels
from serving.metrics.slo import Failing, ServiceTally, Slices, Watch
from serving.telemetry.heartbeat import Heartbeat
from serving.telemetry.logs import RequestRecord

PUBLISH_SECONDS = 0.5
"""Interval of publication, in seconds: the lag of another worker's numbers."""

SILENT_SECONDS = 10.0
"""Age, in seconds, from which a running worker's numbers mean that it, or its thread, hangs."""

SCORING_PATHS = ("/predict", "/invocations")
"""Routes whose responses the service levels cover."""


class WorkerNumbers(msgspec.Struct, omit_defaults=True):
    """One worker's numbers as in its file; `at` is monotonic seconds, `alive` whether it runs."""

    numbers: dict[str, Any]
    slices: Slices
    at: float
    alive: bool = True


class BucketCounts:
    """Histogram: counts by inclusive upper bound, the last one open, and the sum of the values."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        """Start at zero."""
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value


class Metrics:
    """The metrics of one worker.

    Args:
        folder: shared by the workers of one server; None: nothing is published.
        state: returns the values that are read rather than counted (gauges and capture's counters),
            by metric name and label values.
        ready: returns whether requests can be served.
        kept: keeps service levels across restarts; None: they are not kept.
    """

    def __init__(
        self,
        folder: Path | None,
        state: Callable[[], Mapping[str, Mapping[Labels, float]]],
        ready: Callable[[], bool] = lambda: True,
        kept: KeptLevels | None = None,
    ) -> None:
        """Start at zero; nothing is written before `start`."""
        self._folder, self._state, self._ready = folder, state, ready
        self._watch, self.heart, self._kept = Watch(), Heartbeat("metrics"), kept
        self._failing = Failing()
        self._counts = {name: _series(family) for name, family in FAMILIES.items()}
        self._requests = self._counts["http_requests"]
        self._latency = self._counts["http_request_duration_seconds"]
        self._fd = -1
        self._path: Path | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def request(self, record: RequestRecord) -> None:
        """Count a request that was responded to."""
        method, path = record.method, record.path
        self._requests[(method, path, str(record.status_code))] += 1
        self._latency[(method, path)].observe(record.latency_ms / 1000)

    def closed(self, reason: str) -> None:
        """Count a connection that was closed for a limit."""
        self._counts["http_connections_closed"][reason,] += 1

    def batch(self, jobs: Sequence[Job]) -> None:
        """Count the scored jobs of one call of the model."""
        rows = 0
        predictions, scores = self._counts["model_predictions"], self._counts["model_score_sum"]
        for job in jobs:
            count, version = len(job.scores), (job.model.release, job.model.version.name)
            rows += count
            if job.model.threshold is None:
                predictions[(*version, "")] += count
                scores[version] += sum(s for s in job.scores if s is not None)
                continue
            ones = sum(job.labels)  # type: ignore[arg-type]
            predictions[(*version, "1")] += ones
            predictions[(*version, "0")] += count - ones
            scores[version] += sum(job.scores)  # type: ignore[arg-type]
        self._counts["model_batch_rows"][()].observe(rows)

    def snapshot(self) -> dict[str, Any]:
        """Return all numbers as plain data: by metric name, a list of label values and a value."""
        counted: dict[str, Mapping[Labels, Any]] = {
            **self._counts,
            "serving_lived_seconds": {(): self._watch.lived},
            "serving_down_seconds": {(): self._watch.down},
            **self._state(),
        }
        # A copy first: requests are counted while another thread takes the snapshot.
        return {
            name: [[list(labels), _plain(value)] for labels, value in list(series.items())]
            for name, series in counted.items()
        }

    def start(self) -> None:
        """Start the thread; it publishes only if there is a folder."""
        if self._folder is not None:
            self._path = self._folder / f"{os.getpid()}-{uuid.uuid4().hex[:8]}.json"
            # The lock shows that this worker runs; its process id might be reused.
            self._fd = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o640)
            lock(self._fd)
        self._thread.start()

    def serving(self) -> None:
        """Start to measure availability: from now on time without a model counts as down."""
        self._watch.begin()

    def close(self) -> None:
        """Publish the last numbers; the counters of an ended worker stay in the sums."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self.heart.rest()
        self._look()
        if self._kept is not None:
            self._kept.keep(self._watch.slices, all_of_it=True)
        self.publish()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def publish(self) -> None:
        """Write the numbers for the other workers; a failed write waits for the next interval."""
        if self._path is None:
            return
        with contextlib.suppress(OSError), replacing(self._path, durable=False) as temporary:
            temporary.write_bytes(msgspec.json.encode(self._own()))

    def parts(self) -> list[WorkerNumbers]:
        """Return this worker's numbers, then those that the others published."""
        return [self._own(), *self.siblings()]

    def siblings(self) -> list[WorkerNumbers]:
        """Return the numbers that the other workers published."""
        if self._folder is None:
            return []
        found = []
        for path in sorted(self._folder.glob("*.json")):
            if path != self._path:
                with contextlib.suppress(OSError, ValueError):
                    read = msgspec.json.decode(path.read_bytes(), type=WorkerNumbers)
                    read.alive = is_held(path.with_suffix(".lock"))
                    _note_silence(read)
                    found.append(read)
        return found

    def _own(self) -> WorkerNumbers:
        return WorkerNumbers(self.snapshot(), self._watch.slices, time.monotonic())

    def others_serve(self, model: str) -> bool:
        """Return whether another running worker accepts requests and has a version of `model`."""
        return any(
            one.alive
            and any(seconds for _labels, seconds in one.numbers["serving_lived_seconds"])
            and any(labels[0] == model for labels, _one in one.numbers.get("serving_workers", ()))
            for one in self.siblings()
        )

    def _run(self) -> None:
        self.heart.beat(SILENT_SECONDS)
        while not self._stop.wait(PUBLISH_SECONDS):
            self._look()
            self.publish()
            self.heart.beat(SILENT_SECONDS)

    def problems(self) -> list[str]:
        """Return the alarms, as messages for the operator."""
        if self._failing.still(time.monotonic()):
            return [_("every scoring request fails with 500; the log says why")]
        return []

    def _look(self) -> None:
        """Update the watch with the counters of the scoring routes, and keep finished slices."""
        requests = errors = failed = 0
        for (_method, path, status), count in list(self._requests.items()):
            if plain(path) in SCORING_PATHS:
                requests += count
                errors += count if status[0] == "5" else 0
                failed += count if status == "500" else 0
        self._failing.look(requests, failed, time.monotonic())
        counts = [
            h.counts
            for (_method, path), h in list(self._latency.items())
            if plain(path) in SCORING_PATHS
        ]
        none = [0] * (len(LATENCY_BOUNDS) + 1)
        latencies = tuple(map(sum, zip(none, *counts, strict=True)))
        self._watch.look(ServiceTally(requests, errors, latencies=latencies), self._ready())
        if self._kept is not None:
            self._kept.keep(self._watch.slices)


def _note_silence(read: WorkerNumbers) -> None:
    """Add the age of another worker's stale numbers to them: a hung thread cannot report it."""
    silent = time.monotonic() - read.at
    if silent > SILENT_SECONDS:
        read.numbers["serving_degraded_workers"] = [[[], 1]]
        ages = read.numbers.setdefault("serving_heartbeat_age_seconds", [])
        ages.append([["metrics"], silent])


def _series(family: MetricSpec) -> defaultdict[Labels, Any]:
    """Return a new series of a family, by label values; one without labels starts at zero."""
    new = int if family.kind != "histogram" else lambda: BucketCounts(family.bounds)
    return defaultdict[Labels, Any](new, {} if family.labels else {(): new()})


def _plain(value: Any) -> Any:
    return [value.counts, value.total] if isinstance(value, BucketCounts) else value
