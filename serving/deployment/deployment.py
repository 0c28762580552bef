"""Deployment: one registered model under one alias, and the parts that serve it in a process."""

import asyncio
import threading
import time
from collections.abc import Sequence

from core.messages import _
from core.store.schema import ROLE_BATCH
from serving.capture.compaction import Compactor
from serving.capture.recorder import Capture, CaptureCounters
from serving.config.registry import registry_of
from serving.config.settings import Settings
from serving.deployment.canary import Canary
from serving.deployment.reporter import Reporter
from serving.deployment.shadow import Shadow
from serving.engine.batcher import Batcher
from serving.engine.job import Job
from serving.following.follower import Follower
from serving.following.threshold import override_text
from serving.metrics.counters import Metrics
from serving.telemetry.heartbeat import Heartbeat
from serving.telemetry.logs import JsonLog

_FIRST_LOOK_SECONDS = 90.0
"""Longest wait for a worker's first version; after it the worker serves without one.

An unreachable registry ends the wait sooner: each call to it has its own timeout.
"""
_LOOK_AROUND_SECONDS = 0.2
"""Interval at which a worker without a version checks whether other workers serve one."""


class Deployment:
    """Follower, batchers, capture, canary and shadow of one model.

    `batcher` scores requests; `batch` scores lists, captured with the role `batch`.
    """

    def __init__(self, settings: Settings, log: JsonLog, metrics: Metrics) -> None:
        """Assemble the parts; nothing is read, opened or started before `start`."""
        self.settings, self._log, self._metrics = settings, log, metrics
        self.name, self.alias = settings.model_name, settings.model_alias
        self.registry = registry_of(settings, self.alias)
        self.follower = Follower(self.registry, settings, log)
        self.canary = Canary(settings, self.follower, metrics, log) if settings.canary else None
        self.reporter = Reporter(settings, self.registry, self.follower, metrics, log, self.canary)
        self.capture = Capture(settings, log)
        self.shadow = Shadow(settings, log) if settings.shadow_alias else None
        self._beside = [part for part in (self.canary, self.shadow) if part is not None]
        self.batcher = Batcher(self._record, settings.max_pending_rows)
        self.batch_capture = Capture(settings, log, ROLE_BATCH)
        self.batch = Batcher(self._record_batch, settings.max_pending_rows)
        self.compactor = Compactor(settings, log)
        self._ending = threading.Event()
        self._batch_begun = False
        self._beginning = threading.Lock()
        # Fields outside the contract that were dropped; counted on the event loop.
        self.ignored_fields = 0

    async def start(self) -> None:
        """Start all parts; return once a version is loaded, or no other worker serves one."""
        following = _("process started; follows {name}@{alias}", name=self.name, alias=self.alias)
        self._log.event("INFO", following)
        self.capture.start()
        self.follower.start()
        for part in self._beside:
            part.start()
        self.reporter.start()
        self.compactor.start()
        # No connection is accepted until then, so a worker that starts beside others sends no 503.
        await asyncio.to_thread(self._wait_for_version)

    def _wait_for_version(self) -> None:
        """Wait for the first poll; without a version, keep waiting while other workers serve."""
        until = time.monotonic() + _FIRST_LOOK_SECONDS
        while not self._ending.is_set() and time.monotonic() < until:
            if self.follower.looked.wait(_LOOK_AROUND_SECONDS):
                break
        while self.follower.served is None and self._metrics.others_serve(self.name):
            if self._ending.wait(_LOOK_AROUND_SECONDS):
                return

    def stop(self) -> None:
        """Let `start` return without a version, and signal the threads that call MLflow to stop.

        All deployments are signalled before any is joined: threads blocked by an unresponsive
        server then wait for their timeouts concurrently, not one after the other.
        """
        self._ending.set()
        for part in (self.reporter, self.follower, *self._beside):
            part.stop()

    def close(self) -> None:
        """Stop all parts; requests that were served are captured first."""
        self.stop()
        self.compactor.close()
        self.reporter.close()
        if self.canary is not None:
            self.canary.close()
        self.follower.close()
        self.batcher.close()
        self.batch.close()
        if self.shadow is not None:
            self.shadow.close()
        self.capture.close()
        if self._batch_begun:
            self.batch_capture.close()

    async def answer(self, job: Job, batcher: Batcher) -> Job:
        """Score a request; return the job that holds the response, which may be the canary's.

        A list is scored by one version, so its batcher has no canary.

        Raises:
            ScoringFailed: the model raised on these instances.
            CaptureFailed: the scores could not be captured, and `CAPTURE_REQUIRED` is set.
        """
        if self.canary is None or self.canary.trial is None or batcher is not self.batcher:
            await batcher.score(job)
            return job
        return await self.canary.score(job, batcher)

    def captured(self) -> CaptureCounters:
        """Return the capture counters of requests and of lists together."""
        one, other = self.capture.counters(), self.batch_capture.counters()
        return CaptureCounters(
            one.captured + other.captured,
            one.pending + other.pending,
            one.lost + other.lost,
            max(one.oldest, other.oldest),
        )

    def hearts(self) -> list[Heartbeat]:
        """Return the heartbeats of all background threads and processes."""
        own = [self.follower.heart, self.reporter.heart, self.compactor.heart]
        captures = [*self.capture.hearts, *self.batch_capture.hearts]
        beside = [heart for part in self._beside for heart in part.hearts]
        return [*own, *captures, *beside, self._metrics.heart]

    def alarms(self) -> list[str]:
        """Return the alarms of this model and this worker, as messages for the operator."""
        return [*self.own_alarms(), *self._metrics.problems()]

    def own_alarms(self) -> list[str]:
        """Return the alarms of this model alone."""
        served = self.follower.served
        found = [self.follower.following.problem, served and served.warning]
        # A part that hangs is an alarm, also one of the shadow.
        found += [heart.problem() for heart in self.hearts()]
        for part in (self.capture, self.batch_capture, self.compactor):
            found += part.problems()
        return [text for text in found if text]

    def notes(self) -> list[str]:
        """Return messages that are no alarms: that the environment overrides the threshold."""
        served = self.follower.served
        if served is None or served.threshold is None or served.threshold_source != "env":
            return []
        return [override_text(served.threshold)]

    def _record(self, jobs: Sequence[Job]) -> None:
        self.capture.append(jobs)
        self._metrics.batch(jobs)
        if self.shadow is not None:
            self.shadow.offer(jobs)

    def _record_batch(self, jobs: Sequence[Job]) -> None:
        """Capture and count the scored rows of a list; capture starts with the first list."""
        with self._beginning:
            if not self._batch_begun:
                self._batch_begun = True
                self.batch_capture.start()
        self.batch_capture.append(jobs)
        self._metrics.batch(jobs)
