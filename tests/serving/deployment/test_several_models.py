"""`MODELS=a,b`: several registered models in one server, each under its own path."""

import hashlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression

from core.errors import ProjectError
from core.mlflow_client import client
from serving.config.settings import Settings
from tests.live import Gate

ROW = {"temperature": 21.5, "pressure": 1003.25, "wear": 2}


@pytest.fixture(scope="module")
def prices(mlflow_server: str) -> str:
    """Return the name of a regression registered with plain MLflow."""
    import mlflow
    import pandas as pd

    mlflow.set_tracking_uri(mlflow_server)
    frame = pd.DataFrame({"area": np.arange(20.0)})
    model = LinearRegression().fit(frame, 3 * frame["area"] + 1)
    with mlflow.start_run():
        signature = infer_signature(frame, model.predict(frame))
        info = mlflow.sklearn.log_model(
            model, name="model", signature=signature, pip_requirements=[]
        )
    name = "prices"
    version = mlflow.register_model(info.model_uri, name)
    MlflowClient().set_registered_model_alias(name, "champion", version.version)
    return name


@pytest.fixture
def several(
    register_version: Callable[..., int],
    new_model: Callable[[], str],
    prices: str,
    settings_for: Callable[..., Settings],
    threaded: Callable[..., Any],
) -> Iterator[tuple[Any, str, str, str]]:
    """Yield a proxy of three models, the last one unregistered, and their names."""
    first, missing = new_model(), new_model()
    register_version(first)
    names = (first, prices, missing)
    with threaded(
        settings_for(first, models=names, threshold=0.9, capture_flush_seconds=0.2)
    ) as proxy:
        yield (proxy.wait_ready(), *names)


def test_a_silent_registry_holds_up_the_end_of_all_models_together(
    register_version: Callable[..., int],
    new_model: Callable[[], str],
    settings_for: Callable[..., Settings],
    threaded: Callable[..., Any],
    eventually: Callable[..., Any],
    gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Shutdown waits for all followers at once: a container has 30 s to stop."""
    monkeypatch.setattr(client, "CALL_SECONDS", 3.0)
    models = tuple(new_model() for _ in range(4))
    for name in models:
        register_version(name)
    settings = settings_for(models[0], models=models, mlflow_tracking_uri=gate.uri)
    with threaded(settings) as proxy:
        for name in models:
            eventually(lambda name=name: proxy.http.get(f"/models/{name}/ready").is_success)
        gate.hush()
        time.sleep(0.5)  # every follower has begun a look by then
        begun = time.monotonic()
    assert time.monotonic() - begun < 3.0 + 2.0


def test_each_model_answers_under_its_own_path(
    several: tuple[Any, str, str, str], eventually: Callable[..., Any]
) -> None:
    """The first model also answers at the unprefixed paths; a missing one affects no other."""
    proxy, first, second, missing = several
    post = proxy.http.post
    eventually(lambda: proxy.http.get(f"/models/{second}/ready").status_code == 200)
    usual = proxy.predict(ROW).json()
    own = post(f"/models/{first}/predict", json={"instances": [ROW]}).json()
    assert own["predictions"] == usual["predictions"]
    assert own["threshold"] == 0.9
    answer = post(f"/models/{second}/predict", json={"instances": [{"area": 2}]}).json()
    assert answer["predictions"][0]["prediction"] == pytest.approx(7)
    assert answer["threshold"] is None
    frame = {"dataframe_split": {"columns": ["area"], "data": [[2.0]]}}
    assert post(f"/models/{second}/invocations", json=frame).json()["predictions"] == [
        pytest.approx(7)
    ]
    assert post(f"/models/{missing}/predict", json={"instances": [ROW]}).status_code == 503
    assert proxy.http.get(f"/models/{missing}/ready").status_code == 503
    metadata = proxy.http.get(f"/models/{second}/metadata").json()
    assert (metadata["model_name"], metadata["features"][0]["name"]) == (second, "area")
    assert proxy.http.get(f"/models/{second}/health").json()["status"] == "healthy"
    assert proxy.http.get("/models/unheard/predict").status_code == 404


def test_what_is_said_of_several_models_names_them(several: tuple[Any, str, str, str]) -> None:
    """Health, the model list, the panel, metrics and OpenAPI name each model."""
    proxy, first, second, missing = several
    proxy.predict(ROW)
    health = proxy.wait_for(status="degraded", model_loaded=True)
    assert [r for r in health["reasons"] if r.startswith(f"{missing}: ")]
    listed = {one["name"]: one for one in proxy.http.get("/models").json()["models"]}
    assert list(listed) == [first, second, missing]
    assert listed[missing]["model_version"] is None
    assert listed[missing]["reasons"]
    assert listed[first]["status"] == "healthy"
    panel = proxy.http.get("/painel").text
    assert f'href="models/{second}/painel"' in panel
    assert second in proxy.http.get(f"/models/{second}/painel").text
    counted = f'model_predictions_total{{label="1",model_name="{first}",model_version="v1.0.0"}}'
    assert counted in proxy.http.get("/metrics").text
    paths = proxy.http.get("/openapi.json").json()["paths"]
    body = paths[f"/models/{second}/predict"]["post"]["requestBody"]["content"]
    assert "area" in str(body)
    operations = [o["operationId"] for path in paths.values() for o in path.values()]
    assert len(set(operations)) == len(operations)


def test_rows_of_several_models_share_a_store(
    several: tuple[Any, str, str, str], eventually: Callable[..., Any]
) -> None:
    """Each captured row has the name of its model."""
    proxy, first, second, _missing = several
    eventually(lambda: proxy.http.get(f"/models/{second}/ready").status_code == 200)
    proxy.predict(ROW)
    body = {"instances": [{"area": 2}, {"area": 3}]}
    assert proxy.http.post(f"/models/{second}/predict", json=body).status_code == 200

    def rows() -> list[str]:
        tables = [pq.read_table(path, columns=["model_name"]) for path in proxy.parquet()]
        return sorted(name for table in tables for name in table["model_name"].to_pylist())

    assert eventually(lambda: len(found := rows()) == 3 and found) == sorted([first, *[second] * 2])


def test_service_levels_are_those_of_the_first_model(
    register_version: Callable[..., int],
    new_model: Callable[[], str],
    settings_for: Callable[..., Settings],
    threaded: Callable[..., Any],
    eventually: Callable[..., Any],
) -> None:
    """Service levels are the first model's, under its name; a missing second is no downtime."""
    first = new_model()
    register_version(first)
    settings = settings_for("another", models=(first, new_model()))
    with threaded(settings) as proxy:
        proxy.wait_ready()
        proxy.predict(ROW)

        def seconds(name: str) -> float:
            lines = proxy.http.get("/metrics").text.splitlines()
            return sum(float(x.split()[-1]) for x in lines if x.startswith(f"{name}_total "))

        eventually(lambda: seconds("serving_lived_seconds") > 1)
        assert seconds("serving_down_seconds") == 0
    assert list(settings.each_model()[0].kept_levels.glob("*.jsonl"))


def test_keys_guard_every_model(
    register_version: Callable[..., int],
    new_model: Callable[[], str],
    settings_for: Callable[..., Settings],
    threaded: Callable[..., Any],
) -> None:
    """Health and readiness need no key under a model's path; all else does."""
    name = new_model()
    register_version(name)
    key = hashlib.sha256(b"secret").digest()
    with threaded(settings_for(name, models=(name,), api_keys=(key,))) as proxy:
        for path, status in (("ready", 200), ("health", 200), ("metadata", 401), ("painel", 401)):
            proxy.wait_ready()
            assert proxy.http.get(f"/models/{name}/{path}").status_code == status
        with_key = proxy.http.get(f"/models/{name}/metadata", headers={"X-API-Key": "secret"})
        assert with_key.status_code == 200
        browser = proxy.http.get(f"/models/{name}/painel", auth=("any", "secret"))
        assert browser.status_code == 200


@pytest.mark.parametrize("text", ["a,a", "a/b", "a,{b}"])
def test_names_of_models_are_checked(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A duplicate name, or one invalid in a path, is refused with the variable's name."""
    monkeypatch.setenv("MODELS", text)
    with pytest.raises(ProjectError, match="MODELS"):
        Settings.from_env()
    monkeypatch.setenv("MODELS", " a , b ")
    found = Settings.from_env()
    assert found.models == ("a", "b")
    assert [one.model_name for one in found.each_model()] == ["a", "b"]
