"""Scoring one request by itself, for the model's whole output instead of one score a row.

`/invocations` answers with it, and so does `/predict` for a model without a contract of its own.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from core.messages import _
from serving.engine.batcher import Job
from serving.engine.explain import explain
from serving.errors import RequestError, ScoringFailed
from serving.protocol.outputs import first_number, plain_rows


class DirectScorer:
    """Runs whole outputs in a thread of its own, and records them before anyone learns them.

    Args:
        record: called with the scored job.
    """

    def __init__(self, record: Callable[[Sequence[Job]], None]) -> None:
        """Keep the recorder; the thread starts when first needed."""
        self._record = record
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="direct")

    async def score(self, job: Job) -> list[Any]:
        """Return the output of each instance, after its score and label are filled in.

        Raises:
            ScoringFailed: the model raised on these instances.
        """
        loop = asyncio.get_running_loop()
        output = await loop.run_in_executor(self._pool, outputs_of, job)
        self._record([job])
        return output

    async def explain(self, job: Job) -> list[list[dict[str, Any]]]:
        """Return what `serving.engine.explain` finds for a scored job.

        Raises:
            ScoringFailed: the model raised on a replaced instance.
        """
        return await asyncio.get_running_loop().run_in_executor(self._pool, explain, job)

    def close(self) -> None:
        """Wait for the thread."""
        self._pool.shutdown()


def outputs_of(job: Job) -> list[Any]:
    """Run the model on a job's rows, settle the job, and return the outputs as plain rows.

    Raises:
        ScoringFailed: the model raised, or gave no finite score.
    """
    version = job.model.version
    try:
        outputs = plain_rows(version.output(job.instances.rows))
        if version.contract.outputs:
            job.scores = [first_number(row) for row in outputs]
            job.labels = [None] * len(outputs)
        else:
            job.settle([_score(row, version.contract.positive_class) for row in outputs])
    except RequestError:
        raise
    except Exception as exc:
        raise ScoringFailed(type(exc).__name__) from exc
    if len(outputs) != len(job.instances.rows):
        raise ScoringFailed(_("incomplete result"))
    return outputs


def _score(row: Any, positive_class: int) -> float:
    """Return the score in one row of output.

    Raises:
        ScoringFailed: it is not finite.
    """
    score = float(row[positive_class] if isinstance(row, list) else row)
    if not math.isfinite(score):
        raise ScoringFailed(_("result not finite"))
    return score
