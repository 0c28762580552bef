"""Concurrent requests are batched into shared calls of the model."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from serving.engine.batcher import Batcher
from serving.engine.context import RequestContext
from serving.engine.job import Job
from serving.errors import ScoringFailed
from serving.following.served import ServedModel
from serving.model.loading import LoadedVersion
from serving.model.scoring import Scorer
from serving.protocol.instances import Instances
from tests import plain_versions

FRAME = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [0.5, 0.1, 0.9]})


class Counting(Scorer):
    """A scorer that records the number of rows of each call."""

    def output(self, rows: Any, params: Any = None) -> Any:
        """Record the number of rows, then score them."""
        self.__dict__.setdefault("calls", []).append(len(rows))
        return super().output(rows, params)


@pytest.fixture
def version(tmp_path: Path) -> LoadedVersion:
    """Return a loaded version of a ridge regression."""
    model = Ridge().fit(FRAME, FRAME["a"])
    return plain_versions.read(plain_versions.saved(tmp_path / "model", model, FRAME))


def counted(version: LoadedVersion, quick: bool) -> LoadedVersion:
    """Return the version with a scorer that counts its calls."""
    method = version.score._method
    scorer = Counting(method, version.score._inputs, None)
    scorer.quick = quick
    return replace(version, score=scorer)


def job(version: LoadedVersion, *rows: Sequence[Any]) -> Job:
    """Return a job with these rows for the version."""
    model = ServedModel(version, None, None, None)
    return Job(model, Instances(rows, [None] * len(rows)), RequestContext(None))


async def run(version: LoadedVersion, jobs: list[Job], recorded: list[int]) -> list[Any]:
    """Score all jobs concurrently; return each one's exception or None."""
    batcher = Batcher(lambda done: recorded.append(len(done)))
    try:
        return await asyncio.gather(*map(batcher.score, jobs), return_exceptions=True)
    finally:
        batcher.close()


@pytest.mark.parametrize("quick", [True, False])
def test_requests_of_one_turn_are_one_call(version: LoadedVersion, quick: bool) -> None:
    """Thirty concurrent requests are one call and one record; each has its own rows' outputs."""
    counting = counted(version, quick)
    jobs = [job(counting, [float(n), 0.5], [n + 0.5, 0.1]) for n in range(30)]
    recorded: list[int] = []
    assert asyncio.run(run(counting, jobs, recorded)) == [None] * 30
    assert counting.score.__dict__["calls"] == [60]
    assert recorded == [30]
    for one in jobs:
        expected = version.output(one.instances.rows)
        assert np.allclose(one.outputs(), expected)
        assert list(one.scores) == one.outputs()


@pytest.mark.parametrize("quick", [True, False])
def test_a_request_that_fails_fails_alone(version: LoadedVersion, quick: bool) -> None:
    """A failed batch is scored request by request; only the bad one raises and is not recorded."""
    counting = counted(version, quick)
    jobs = [job(counting, [1.0, 0.5]) for _ in range(5)]
    jobs[2] = job(counting, [None, 0.5])  # a regression refuses a missing value
    recorded: list[int] = []
    raised = asyncio.run(run(counting, jobs, recorded))
    assert [isinstance(one, ScoringFailed) for one in raised] == [n == 2 for n in range(5)]
    assert recorded == [4]


def test_a_large_request_lets_small_ones_pass(version: LoadedVersion) -> None:
    """A large request is scored in chunks in its own thread; a small one is answered meanwhile."""
    counting = counted(version, quick=False)
    passed, inner = threading.Event(), counting.score._method

    def method(frame: Any) -> Any:
        if len(frame) > 1 and frame["a"].iloc[0] > 0:
            assert passed.wait(60), "the small request waits for the large one"
        return inner(frame)

    counting.score._method, counting.score.shortcut = method, None
    large = job(counting, *([float(n), 0.5] for n in range(2500)))
    small = job(counting, [1.0, 0.5])

    async def both() -> None:
        batcher = Batcher(lambda _done: None, most=1500)
        waiting = asyncio.create_task(batcher.score(large))
        await asyncio.sleep(0)
        batcher.admit(1)  # a large request counts as one chunk of waiting rows
        await batcher.score(small)
        passed.set()
        await waiting
        batcher.close()

    asyncio.run(both())
    assert sorted(counting.score.__dict__["calls"]) == [1, 500, 1000, 1000]
    assert np.allclose(large.outputs(), version.output(large.instances.rows))


@pytest.mark.parametrize("quick", [True, False])
def test_requests_with_other_parameters_are_other_calls(
    version: LoadedVersion, quick: bool
) -> None:
    """Only requests with equal parameters are batched together."""
    counting = counted(version, quick)
    jobs = [job(counting, [float(n), 0.5]) for n in range(6)]
    for one in jobs[3:]:
        one.params = {"scale": 2.0}
    asyncio.run(run(counting, jobs, []))
    assert counting.score.__dict__["calls"] == [3, 3]
