"""A second alias scores the same rows beside the answers, so that it can be compared on real input.

Nothing of it is on the way of an answer: jobs that were answered wait in a bounded queue for a
thread of low priority, which rests as long as it worked. What finds no room is counted as dropped.
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
"""Most answered requests that wait for the shadow."""
GATHERED_ROWS = 256
"""Rows after which the shadow stops gathering and scores."""
_NICENESS = 10
_DRAIN_SECONDS = 5.0
_SCORE_SECONDS = 30.0
"""Time after which scoring a batch hangs."""


class Shadow:
    """Follows `SHADOW_ALIAS` and captures what it would have answered, with the role `shadow`."""

    def __init__(self, settings: Settings, log: JsonLog) -> None:
        """Remember what to follow; `start` begins."""
        # THRESHOLD is for what answers; losing a comparison must refuse no request.
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
        """Begin to follow and to score."""
        self.capture.start()
        self.follower.start()
        self._thread.start()

    def stop(self) -> None:
        """Follow no longer; what waits is still scored."""
        self.follower.stop()

    def close(self) -> None:
        """Score what waits, then stop."""
        self.follower.close()
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=_DRAIN_SECONDS)
        self._thread.join(_DRAIN_SECONDS)
        self.capture.close()

    def offer(self, jobs: Sequence[Job]) -> None:
        """Take answered jobs, if there is a shadow, it is another version, and there is room."""
        served = self.follower.served
        if served is None or served.version.target.is_version_of(jobs[0].model.version.target):
            return
        for job in jobs:
            if job.params:  # the other version would answer another question
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
        """Return waiting jobs up to a batch, and whether the last of all was among them."""
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
    """Return a job's rows in the order of another version's features; what it lacks is null."""
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
