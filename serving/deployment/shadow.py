"""Shadow: the version of a second alias scores served rows too, for comparison on real input.

It is off the request path: served jobs wait in a bounded queue for a thread of low priority, which
sleeps as long as it worked. Rows that find the queue full are counted as dropped.
"""

import contextlib
import os
import queue
import threading
import time
from collections.abc import Sequence
from typing import Any

from core.messages import N_, _
from core.store.schema import ROLE_SHADOW
from serving.capture.recorder import Capture
from serving.config.registry import registry_of
from serving.config.settings import Settings
from serving.engine.job import Job, settle
from serving.errors import RequestError
from serving.following.follower import Follower
from serving.following.served import ServedModel
from serving.protocol.instances import Instances
from serving.telemetry.heartbeat import Heartbeat
from serving.telemetry.logs import JsonLog, location

WAITING_JOBS = 2000
"""Capacity of the queue, in served requests."""
GATHERED_ROWS = 256
"""Rows at which a batch is complete and is scored."""
_NICENESS = 10
_DRAIN_SECONDS = 5.0
_SCORE_SECONDS = 30.0
"""Time after which the scoring of a batch counts as hung."""


class Shadow:
    """Follower of `SHADOW_ALIAS` that captures its scores with the role `shadow`."""

    def __init__(self, settings: Settings, log: JsonLog) -> None:
        """Set up follower and capture; the threads begin with `start`."""
        # THRESHOLD is for the served version; the loss of a shadow row must refuse no request.
        settings = settings.model_copy(update={"threshold": None, "capture_required": False})
        self.alias, news = settings.shadow_alias, N_("in the shadow: {name} version {number}")
        registry = registry_of(settings, self.alias)
        self.follower = Follower(registry, settings, log, news, "shadow_following")
        self.capture = Capture(settings, log, ROLE_SHADOW)
        self._heart = Heartbeat("shadow")
        self.hearts = (self._heart, self.follower.heart, *self.capture.hearts)
        self.scored = self.dropped = 0
        self._log = log
        self._failure: str | None = None
        self._waiting: queue.Queue[Job | None] = queue.Queue(WAITING_JOBS)
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)

    def start(self) -> None:
        """Start capture, follower and scoring thread."""
        self.capture.start()
        self.follower.start()
        self._thread.start()

    def stop(self) -> None:
        """Signal the follower to stop; queued jobs are still scored."""
        self.follower.stop()

    def close(self) -> None:
        """Score the queued jobs within a timeout, then stop."""
        self.follower.close()
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=_DRAIN_SECONDS)
        self._thread.join(_DRAIN_SECONDS)
        self.capture.close()

    def offer(self, jobs: Sequence[Job]) -> None:
        """Queue served jobs if the shadow has another version than theirs and there is room."""
        served = self.follower.served
        if served is None or served.version.target.is_version_of(jobs[0].model.version.target):
            return
        for job in jobs:
            if job.params:  # the shadow scores without parameters: not comparable
                continue
            try:
                self._waiting.put_nowait(job)
            except queue.Full:
                self.dropped += len(job.instances.rows)

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        while (job := self._waiting.get()) is not None:
            began = time.monotonic()
            self._heart.beat(_SCORE_SECONDS)
            jobs, over = self._gather(job)
            self._score(jobs)
            self._heart.rest()
            if over:
                return
            time.sleep(time.monotonic() - began)

    def _gather(self, first: Job) -> tuple[list[Job], bool]:
        """Return queued jobs up to a batch, and whether the end of the queue was reached."""
        jobs, rows = [first], len(first.instances.rows)
        with contextlib.suppress(queue.Empty):
            while rows < GATHERED_ROWS:
                job = self._waiting.get_nowait()
                if job is None:
                    return jobs, True
                jobs.append(job)
                rows += len(job.instances.rows)
        return jobs, False

    def _score(self, answered: Sequence[Job]) -> None:
        model = self.follower.served
        if model is None:
            return
        try:
            jobs = [Job(model, translated(job, model), job.context) for job in answered]
            settle(jobs)
            self.capture.append(jobs)
            self.scored += sum(len(job.instances.rows) for job in jobs)
        except Exception as exc:
            self.dropped += sum(len(job.instances.rows) for job in answered)
            reason = str(exc) if isinstance(exc, RequestError) else location(exc)
            if reason != self._failure:
                text = N_("the shadow {alias} did not score: {reason}")
                self._log.event("ERROR", _(text, alias=self.alias, reason=reason))
            self._failure = reason


def translated(job: Job, model: ServedModel) -> Instances:
    """Return a job's rows in another version's feature order; features that it lacks are null."""
    before = job.model.version.contract.feature_names
    after = model.version.contract.feature_names
    if before == after:
        return job.instances
    places = {name: position for position, name in enumerate(before)}
    order = [places.get(name) for name in after]
    rows: list[list[Any]] = [
        [None if place is None else row[place] for place in order] for row in job.instances.rows
    ]
    return Instances(rows, job.instances.entities)
