"""Concurrent requests share one call of the model: its cost is per call more than per row.

Requests that the event loop reads in one turn are scored together at the end of that turn; while
the model runs, the next ones gather in their sockets. Nothing waits on a timer, so a lone request
is not delayed. Large requests run in a thread, so that small ones and health checks go on.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby

from core.messages import _
from serving.engine.context import RequestContext
from serving.errors import ScoringFailed
from serving.following.served import ServedModel
from serving.protocol.instances import Instances

INLINE_ROWS = 128
"""Rows up to which a request is scored on the event loop, together with others."""


@dataclass(slots=True, eq=False)
class Job:
    """One request's instances and the model that validated them, which alone may score them."""

    model: ServedModel
    instances: Instances
    context: RequestContext
    scores: Sequence[float | None] = ()
    labels: Sequence[int | None] = ()
    done: asyncio.Future[None] | None = None

    def settle(self, scores: list[float]) -> None:
        """Keep the scores and the labels that this job's threshold gives them."""
        threshold = self.model.threshold
        if threshold is None:
            raise ScoringFailed(_("the model has no score"))
        self.scores = scores
        self.labels = [1 if score >= threshold else 0 for score in scores]


class Batcher:
    """Scores jobs and records them before anyone learns the scores.

    Args:
        record: called with the scored jobs of one version.
    """

    def __init__(self, record: Callable[[Sequence[Job]], None]) -> None:
        """Keep the recorder; the thread for large requests starts when first needed."""
        self._record = record
        self._waiting: list[Job] = []
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="score")

    async def score(self, job: Job) -> None:
        """Fill in a job's scores and labels.

        Raises:
            ScoringFailed: the model raised on these instances.
            CaptureFailed: the scores could not be recorded, and must be.
        """
        loop = asyncio.get_running_loop()
        if len(job.instances.rows) > INLINE_ROWS:
            await loop.run_in_executor(self._pool, self._run_alone, job)
            return
        job.done = loop.create_future()
        self._waiting.append(job)
        if len(self._waiting) == 1:
            loop.call_soon(self._flush)
        await job.done

    def close(self) -> None:
        """Wait for the thread."""
        self._pool.shutdown()

    def _flush(self) -> None:
        jobs, self._waiting = self._waiting, []
        # Jobs of two versions meet here only in the turn of a flip.
        for _version, group in groupby(jobs, key=lambda job: id(job.model.version)):
            self._run(list(group))

    def _run_alone(self, job: Job) -> None:
        _settle([job])
        self._record([job])

    def _run(self, jobs: list[Job]) -> None:
        """Score jobs of one version in one call; if that fails, each alone, to spare the others."""
        try:
            _settle(jobs)
        except Exception as exc:
            if len(jobs) == 1:
                _finish(jobs, exc)
            else:
                for job in jobs:
                    self._run([job])
            return
        try:
            self._record(jobs)
        except Exception as exc:
            _finish(jobs, exc)
        else:
            _finish(jobs, None)


def _settle(jobs: Sequence[Job]) -> None:
    """Score the jobs' rows in one call and give each job its own."""
    scores = jobs[0].model.version.score([row for job in jobs for row in job.instances.rows])
    start = 0
    for job in jobs:
        end = start + len(job.instances.rows)
        job.settle(scores[start:end])
        start = end


def _finish(jobs: Sequence[Job], error: Exception | None) -> None:
    for job in jobs:
        # A client that has gone away has cancelled its wait.
        if job.done is not None and not job.done.done():
            if error is None:
                job.done.set_result(None)
            else:
                job.done.set_exception(error)
