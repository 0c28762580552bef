"""One request's work for the model, and the call that does it for many requests at once."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.contract.model import CLASSES
from core.messages import _
from serving.engine.context import RequestContext
from serving.errors import ScoringFailed
from serving.following.served import ServedModel
from serving.model.scoring import Output
from serving.protocol.instances import Instances


@dataclass(slots=True, eq=False)
class Job:
    """One request's instances and the model that validated them, which alone may score them.

    `output` is what the model returned for the instances; `scores` and `labels` are what capture
    keeps of it, None where the model has none; the label of a model of classes is the position of
    the one that it says.
    """

    model: ServedModel
    instances: Instances
    context: RequestContext
    output: Output = ()
    scores: Sequence[float | None] = ()
    labels: Sequence[int | None] = ()
    error: Exception | None = None
    done: asyncio.Future[None] | None = None

    def outputs(self) -> list[Any]:
        """Return the model's output as plain rows, in the shape that pyfunc gives."""
        return self.output.tolist() if hasattr(self.output, "tolist") else list(self.output)

    def keep(self, output: Output, scores: Sequence[float | None]) -> None:
        """Keep the output, the scores, and the labels that this job's threshold gives them.

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


def settle(jobs: Sequence[Job]) -> None:
    """Score the jobs' rows, all of one version, in one call, and give each job its own.

    Raises:
        ScoringFailed: the model raised, or gave no finite score where the contract has one.
    """
    version = jobs[0].model.version
    output = version.output([row for job in jobs for row in job.instances.rows])
    scores = version.scores(output)
    start = 0
    for job in jobs:
        end = start + len(job.instances.rows)
        job.keep(output[start:end], scores[start:end])
        start = end


def settle_apart(jobs: Sequence[Job]) -> None:
    """Settle the jobs in one call; if that fails, each alone, to spare the others.

    A job that fails keeps its error.
    """
    try:
        settle(jobs)
    except Exception as exc:
        if len(jobs) == 1:
            jobs[0].error = exc
        else:
            for job in jobs:
                settle_apart([job])
