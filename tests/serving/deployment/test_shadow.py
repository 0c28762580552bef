"""Shadow: another version scores the same rows without delaying the responses."""

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from serving.deployment.shadow import translated
from serving.engine.context import RequestContext
from serving.engine.job import Job
from serving.protocol.instances import Instances

ROW = {"temperature": 21.5, "pressure": 1003.25, "wear": 2}
Register = Callable[..., int]


def test_the_challenger_scores_the_same_rows_under_its_own_name(
    register_version: Register,
    new_model: Callable[[], str],
    start: Callable[..., Any],
    eventually: Callable[..., Any],
) -> None:
    """Each answered row is captured once per version; the responses are the champion's."""
    name = new_model()
    first = register_version(name, "v1.0.0", threshold=0.3)
    second = register_version(name, "v1.1.0", threshold=0.6, seed=5, alias="challenger")
    proxy = start(name, shadow_alias="challenger", capture_flush_seconds=0.2).wait_ready()
    eventually(lambda: proxy.health()["shadow"]["registry_version"] == second)
    rows = [{**ROW, "temperature": 10.0 + i} for i in range(25)]
    answers = [proxy.predict(row, headers={"X-Request-ID": f"r-{i}"}) for i, row in enumerate(rows)]
    proxy.http.post("/invocations", json={"inputs": rows[:5]})
    assert {answer.json()["model_version"] for answer in answers} == {"v1.0.0"}
    eventually(lambda: proxy.health()["shadow"]["scored"] == 30)

    def stored() -> Any:
        frame = pd.concat([pd.read_parquet(path) for path in proxy.parquet()] or [pd.DataFrame()])
        return frame if len(frame) == 60 else None

    frame = eventually(lambda: stored() is not None) and stored()
    roles = dict(iter(frame.groupby("role")))
    assert set(roles) == {"primary", "shadow"}
    assert set(roles["primary"]["registry_version"]) == {first}
    shadow = roles["shadow"].set_index("request_id")
    assert set(shadow["model_version"]) == {"v1.1.0"}
    assert set(shadow["threshold"]) == {0.6}
    expected = mlflow.pyfunc.load_model(f"models:/{name}/{second}").predict(
        pd.DataFrame(rows).astype(float)
    )[:, 1]
    scores = [shadow.loc[f"r-{i}", "score"] for i in range(25)]
    assert np.abs(np.array(scores) - expected).max() <= 1e-12
    assert proxy.health()["capture"]["captured"] == 30
    scrape = proxy.http.get("/metrics").text
    assert "shadow_rows_total 30.0" in scrape
    assert 'alias="challenger",model_name=' in scrape


def test_no_shadow_disturbs_nobody(
    register_version: Register,
    new_model: Callable[[], str],
    start: Callable[..., Any],
    eventually: Callable[..., Any],
) -> None:
    """An alias that is missing, or that points to the champion, leaves the service healthy."""
    name = new_model()
    number = register_version(name)
    proxy = start(name, shadow_alias="challenger").wait_ready()
    eventually(lambda: "não tem o alias" in str(proxy.health()["shadow"]["problem"]))
    assert proxy.health()["status"] == "healthy"
    mlflow.MlflowClient().set_registered_model_alias(name, "challenger", str(number))
    eventually(lambda: proxy.health()["shadow"]["registry_version"] == number)
    assert proxy.predict(ROW).status_code == 200
    assert (proxy.health()["shadow"]["scored"], proxy.health()["shadow"]["dropped"]) == (0, 0)


def test_a_shadow_that_fails_or_hangs_delays_no_answer(
    register_version: Register,
    new_model: Callable[[], str],
    start: Callable[..., Any],
    eventually: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rows beyond the queue's capacity are dropped and counted; a failure is logged once."""
    name = new_model()
    register_version(name)
    register_version(name, "v1.1.0", seed=5, alias="challenger")
    monkeypatch.setattr("serving.deployment.shadow.WAITING_JOBS", 5)
    proxy = start(name, shadow_alias="challenger").wait_ready()
    eventually(lambda: proxy.health()["shadow"]["registry_version"])
    hang = threading.Event()

    def stuck(_: Any) -> None:
        hang.wait(20)
        raise RuntimeError

    monkeypatch.setattr("serving.deployment.shadow.settle", stuck)
    try:
        for _ in range(20):
            assert proxy.predict(*[ROW] * 10).status_code == 200
        shadow = proxy.health()["shadow"]
        assert shadow["scored"] == 0
        assert shadow["dropped"] >= 100, "20 requests of 10 rows, room for a few"
    finally:
        hang.set()
    eventually(lambda: proxy.health()["shadow"]["dropped"] == 200)
    errors = [line for line in proxy.log() if "sombra challenger" in line["message"]]
    assert len(errors) == 1


def test_a_shadow_with_other_features_gets_them_by_name() -> None:
    """Rows are mapped by name to another contract's order; missing features become null."""

    def model(*names: str) -> Any:
        return SimpleNamespace(version=SimpleNamespace(contract=_Names(names)))

    job = Job(model("a", "b"), Instances([[1, 2], [3, 4]], [None, "x"]), RequestContext(None))
    moved = translated(job, model("b", "c", "a"))
    assert moved.rows == [[2, None, 1], [4, None, 3]]
    assert moved.entities == [None, "x"]
    assert translated(job, model("a", "b")) is job.instances


class _Names:
    """A contract with feature names only."""

    def __init__(self, names: tuple[str, ...]) -> None:
        """Keep the names."""
        self.feature_names = names
