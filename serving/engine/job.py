"""A request's scoring job, and the model call that scores many jobs at once."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.contract.model import CLASSES
from core.messages import _
from serving.engine.context import RequestContext
from serving.errors import ScoringFailed
from serving.following.served import ServedModel
from serving.model.scoring import Output
from serving.protocol.instances import Instances
from serving.protocol.params import Params

CHUNK_ROWS = 1000
"""Rows of a large request that are scored in one call."""


@dataclass(slots=True, eq=False)
class Job:
    """Instances of one request and the model that validated them, which alone may score them.

    `output` is the model's output for the instances; `scores` and `labels` are the parts of it that
    capture records, None where the model has none; the label of a classifier is the position of the
    predicted class.
    """

    model: ServedModel
    instances: Instances
    context: RequestContext
    params: Params | None = None
    output: Output = ()
    scores: Sequence[float | None] = ()
    labels: Sequence[int | None] = ()
    error: Exception | None = None
    done: asyncio.Future[None] | None = None

    def outputs(self) -> list[Any]:
        """Return the model's output as plain rows, in the shape that pyfunc gives."""
        return self.output.tolist() if hasattr(self.output, "tolist") else list(self.output)

    def keep(self, output: Output, scores: Sequence[float | None]) -> None:
        """Store the output, the scores, and their labels at this job's threshold.

        Raises:
            ScoringFailed: the version has a label and this job's model no threshold.
        """
        self.output, self.scores = output, scores
        threshold = self.model.threshold
        version = self.model.version
        if version.contract.output_kind == CLASSES:
            self.labels = version.score.answered(output)
        elif version.contract.outputs:
            self.labels = [None] * len(scores)
        elif threshold is None:
            raise ScoringFailed(_("the model has no score"))
        else:
            self.labels = [None if s is None else 1 if s >= threshold else 0 for s in scores]


def settle(jobs: Sequence[Job], chunk: int | None = None) -> None:
    """Score the jobs' rows, all of one version and equal parameters; store each job's results.

    Rows are scored in one call, or in calls of `chunk` rows, between which other threads can run.

    Raises:
        ScoringFailed: the model raised, or gave no finite score where the contract has one.
    """
    version = jobs[0].model.version
    rows = [row for job in jobs for row in job.instances.rows]
    size = chunk or len(rows)
    starts = range(0, len(rows), size)
    parts = [version.output(rows[start : start + size], jobs[0].params) for start in starts]
    output = parts[0] if len(parts) == 1 else _joined(parts)
    scores = version.score.scores(output)
    start = 0
    for job in jobs:
        end = start + len(job.instances.rows)
        job.keep(output[start:end], scores[start:end])
        start = end


def _joined(parts: Sequence[Output]) -> Output:
    if all(isinstance(part, np.ndarray) for part in parts):
        return np.concatenate(parts)
    return [row for part in parts for row in part]


def settle_apart(jobs: Sequence[Job]) -> None:
    """Score the jobs in one call; if that fails, each alone. A job that fails keeps its error."""
    try:
        settle(jobs)
    except Exception as exc:
        if len(jobs) == 1:
            jobs[0].error = exc
        else:
            for job in jobs:
                settle_apart([job])
