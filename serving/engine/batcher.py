"""Batching of concurrent requests into one model call, which costs more per call than per row.

Requests read in one iteration of the event loop are scored together at its end; while the model
runs, the next batch forms. There is no timer, so a lone request is not delayed. A slow model, as
most without a shortcut are, is called in a thread, one call at a time, and the requests that arrive
meanwhile form the next call. Large requests have a thread of their own, so that they do not block
small ones and health checks.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any

from serving.engine.explain import explain
from serving.engine.job import CHUNK_ROWS, Job, settle, settle_apart
from serving.errors import Overloaded

INLINE_ROWS = 128
"""Rows up to which a request is scored together with others."""


class Batcher:
    """Batcher of jobs, which are scored and recorded before their responses are sent.

    Args:
        record: called with the scored jobs of one version.
        most: limit of waiting rows, above which `admit` raises; None for no limit.
    """

    def __init__(self, record: Callable[[Sequence[Job]], None], most: int | None = None) -> None:
        """Store the recorder; the threads start on first use."""
        self._record, self._most = record, math.inf if most is None else most
        self.waiting = self.shed = 0
        self._quick: list[Job] = []
        self._slow: list[Job] = []
        self._slow_call: asyncio.Future[None] | None = None
        self._large = ThreadPoolExecutor(1, thread_name_prefix="large")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="score")

    def admit(self, rows: int) -> None:
        """Admit a request if its rows and the waiting ones are within the limit, or none wait.

        Raises:
            Overloaded: they exceed the limit; the request is counted in `shed`.
        """
        if self.waiting and self.waiting + min(max(rows, 1), CHUNK_ROWS) > self._most:
            self.shed += 1
            raise Overloaded

    async def score(self, job: Job) -> None:
        """Fill in a job's output, scores and labels.

        Raises:
            ScoringFailed: the model raised on these instances.
            CaptureFailed: capture is required, and the scores could not be recorded.
        """
        # A large request is scored chunk by chunk in a thread of its own, so it counts as a chunk.
        rows = min(len(job.instances.rows), CHUNK_ROWS)
        self.waiting += rows
        try:
            await self._score(job)
        finally:
            self.waiting -= rows

    async def _score(self, job: Job) -> None:
        loop = asyncio.get_running_loop()
        if len(job.instances.rows) > INLINE_ROWS:
            await loop.run_in_executor(self._large, self._run_alone, job)
            return
        job.done = loop.create_future()
        waiting, flush = self._slow, self._flush_slow
        if job.model.version.score.quick:
            waiting, flush = self._quick, self._flush_quick
        waiting.append(job)
        if len(waiting) == 1:
            loop.call_soon(flush)
        await job.done

    async def explain(self, job: Job) -> list[list[dict[str, Any]]]:
        """Return the feature effects of a scored job (`serving.engine.explain`).

        Raises:
            ScoringFailed: the model raised on a replaced instance.
        """
        self.waiting += len(job.instances.rows)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._large, explain, job)
        finally:
            self.waiting -= len(job.instances.rows)

    def close(self) -> None:
        """Shut the threads down, after their pending work."""
        self._large.shutdown()
        self._thread.shutdown()

    def _run_alone(self, job: Job) -> None:
        settle([job], CHUNK_ROWS)
        self._record([job])

    def _flush_quick(self) -> None:
        jobs, self._quick = self._quick, []
        for group in _by_version(jobs):
            settle_apart(group)
            self._finish(group)

    def _flush_slow(self) -> None:
        if self._slow_call is not None:
            return
        jobs, self._slow = self._slow, []
        groups = _by_version(jobs)
        loop = asyncio.get_running_loop()
        self._slow_call = loop.run_in_executor(self._thread, _settle_groups, groups)
        self._slow_call.add_done_callback(lambda _: self._end_slow(groups))

    def _end_slow(self, groups: list[list[Job]]) -> None:
        self._slow_call = None
        for group in groups:
            self._finish(group)
        if self._slow:
            self._flush_slow()

    def _finish(self, jobs: list[Job]) -> None:
        """Record the scored jobs, then resolve the futures of all."""
        scored = [job for job in jobs if job.error is None]
        try:
            if scored:
                self._record(scored)
        except Exception as exc:
            for job in scored:
                job.error = exc
        for job in jobs:
            # The future of a disconnected client has been cancelled.
            if job.done is not None and not job.done.done():
                if job.error is None:
                    job.done.set_result(None)
                else:
                    job.done.set_exception(job.error)


def _by_version(jobs: list[Job]) -> list[list[Job]]:
    """Return the jobs grouped by version, which differ only during a flip, and parameters."""
    alike = groupby(jobs, key=lambda job: (id(job.model.version), job.params))
    return [list(group) for _key, group in alike]


def _settle_groups(groups: list[list[Job]]) -> None:
    for group in groups:
        settle_apart(group)
