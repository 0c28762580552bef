"""Following the alias: flips, thresholds, refusals and recovery, against a live registry."""

import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import httpx
import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from core.contract.model import Example, Feature, ModelContract
from core.registry.versions import Registry
from serving.following.cache import ModelCache
from serving.following.follower import Follower
from serving.following.threshold import threshold_in_force
from serving.model.loading import LoadedVersion
from serving.telemetry.logs import JsonLog
from tests.wrong_servers import WrongServer

ROW = {"temperature": 21.5, "pressure": 1003.25, "wear": 2}
Register = Callable[..., int]
POLL_SECONDS = 0.1
"""Poll interval of the shared proxy, in seconds."""


def test_a_flip_is_followed_without_restart(
    register_version: Register, new_model: Callable[[], str], start: Callable[..., Any]
) -> None:
    """Promotion and rollback move model, release and threshold together."""
    name, client = new_model(), MlflowClient()
    first = register_version(name, "v1.0.0", threshold=0.3)
    second = register_version(name, "v1.1.0", threshold=0.6, seed=5, alias=None)
    proxy = start(name).wait_ready()
    before = proxy.predict(ROW).json()
    client.set_registered_model_alias(name, "champion", str(second))
    assert proxy.wait_for(registry_version=second)["model_version"] == "v1.1.0"
    after = proxy.predict(ROW).json()
    assert (after["model_version"], after["threshold"]) == ("v1.1.0", 0.6)
    assert after["predictions"] != before["predictions"]
    client.set_registered_model_alias(name, "champion", str(first))
    proxy.wait_for(registry_version=first)
    assert proxy.predict(ROW).json()["predictions"] == before["predictions"]


@pytest.mark.parametrize("keep", [True, False])
def test_a_rollback_takes_the_version_that_is_still_in_memory(
    register_version: Register,
    new_model: Callable[[], str],
    settings_for: Callable[..., Any],
    mlflow_server: str,
    tmp_path: Any,
    keep: bool,
) -> None:
    """A rollback reuses the scorer in memory, reads the current threshold, updates the cache."""
    name, client = new_model(), MlflowClient()
    first = register_version(name, "v1.0.0", threshold=0.3)
    second = register_version(name, "v1.1.0", seed=5, alias=None)
    settings = settings_for(name, keep_previous=keep)
    registry = Registry(name, mlflow_server)
    follower = Follower(registry, settings, JsonLog(settings.log_file))
    follower.poll()
    before = follower.current().version
    client.set_registered_model_alias(name, "champion", str(second))
    follower.poll()
    assert follower.current().version.number == second
    client.set_model_version_tag(name, str(first), "threshold", "0.4")
    client.set_registered_model_alias(name, "champion", str(first))
    follower.poll()
    served = follower.current()
    assert (served.version.number, served.threshold) == (first, 0.4)
    assert (served.version.score is before.score) == keep
    with ModelCache(settings.model_cache, registry.uri, name, "champion").opened() as kept:
        assert kept is not None
        assert kept.target.number == first


def test_the_threshold_follows_tag_and_metadata(
    register_version: Register, new_model: Callable[[], str], start: Callable[..., Any]
) -> None:
    """The threshold tag overrides the metadata, without a restart, until it is deleted."""
    name, client = new_model(), MlflowClient()
    number = str(register_version(name, threshold=0.3))
    proxy = start(name).wait_ready()
    assert proxy.http.get("/metadata").json()["threshold"] == 0.3
    client.set_model_version_tag(name, number, "threshold", "0.95")
    proxy.wait_for(threshold_source="tag")
    answer = proxy.predict(ROW).json()
    assert answer["threshold"] == 0.95
    score = answer["predictions"][0]["failure_score"]
    assert answer["predictions"][0]["failure_label"] == int(score >= 0.95)
    client.delete_model_version_tag(name, number, "threshold")
    proxy.wait_for(threshold_source="metadata")
    assert proxy.predict(ROW).json()["threshold"] == 0.3


def test_a_bad_threshold_tag_is_ignored_loudly(
    register_version: Register, new_model: Callable[[], str], start: Callable[..., Any]
) -> None:
    """An invalid threshold tag is ignored, and health is degraded with the reason."""
    name = new_model()
    register_version(name, threshold=0.3, tags={"threshold": "high"})
    proxy = start(name).wait_ready()
    health = proxy.wait_for(threshold_source="metadata")
    assert health["status"] == "degraded"
    assert "tag threshold" in health["reasons"][0]


def in_force(text: str) -> tuple[Any, ...]:
    """Return threshold, source and warning for a tag of `text` and a contract threshold of 0.3."""
    version: Any = SimpleNamespace(contract=SimpleNamespace(outputs=None, threshold=0.3), number=1)
    return threshold_in_force(None, version, {"threshold": text})


@pytest.mark.parametrize(("text", "value"), [("0.35", 0.35), ("0,4", 0.4), ("1", 1.0)])
def test_threshold_tags_are_read(text: str, value: float) -> None:
    """A number in [0, 1], with a decimal point or comma, is read from the tag."""
    assert in_force(text) == (value, "tag", None)


@pytest.mark.parametrize("text", ["", "x", "1.01", "nan", "0_0", "1e-400", "٠.٥"])
def test_other_threshold_tags_are_none(text: str) -> None:
    """Any other tag yields the metadata's threshold and a warning."""
    value, source, warning = in_force(text)
    assert (value, source) == (0.3, "metadata")
    assert warning is not None


def test_the_environment_threshold_survives_a_flip_and_is_said(
    register_version: Register, new_model: Callable[[], str], start: Callable[..., Any]
) -> None:
    """THRESHOLD overrides the tag and metadata of every version; health and log report it."""
    name, client = new_model(), MlflowClient()
    register_version(name, "v1.0.0", threshold=0.3, tags={"threshold": "0.4"})
    second = register_version(name, "v1.1.0", threshold=0.6, alias=None)
    proxy = start(name, threshold=0.05).wait_ready()
    client.set_registered_model_alias(name, "champion", str(second))
    health = proxy.wait_for(registry_version=second)
    assert proxy.predict(ROW).json()["threshold"] == 0.05
    assert (health["status"], health["threshold_source"]) == ("healthy", "env")
    assert "THRESHOLD=0.05" in health["reasons"][0]
    assert any("THRESHOLD=0.05" in line["message"] for line in proxy.log())


def test_a_baseline_named_later_shows_in_metadata(
    register_version: Register,
    new_model: Callable[[], str],
    start: Callable[..., Any],
    eventually: Callable[..., Any],
) -> None:
    """/metadata has the baseline's run after the version's tag is set."""
    name, client = new_model(), MlflowClient()
    number = str(register_version(name))
    run_id = client.get_model_version(name, number).run_id
    proxy = start(name).wait_ready()
    client.set_model_version_tag(name, number, "baseline_run_id", run_id)

    def named() -> Any:
        baseline = proxy.http.get("/metadata").json()["baseline"]
        return baseline and baseline["run_id"] == run_id and baseline["created_at"]

    assert eventually(named)


def log_pipeline(name: str, pipeline: BaseEstimator, **options: Any) -> int:
    """Register a one-feature version with the given pipeline; return its number."""
    contract = ModelContract("v9.0.0", (Feature("temperature"),), "t", 0.5)
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(
            pipeline,
            name="model",
            signature=ModelSignature(
                Schema([ColSpec("double", "temperature")]),
                Schema([TensorSpec(np.dtype("float64"), (-1, 2))]),
            ),
            metadata={"contract": contract.to_dict()},
            pip_requirements=[],
            serialization_format="skops",
            pyfunc_predict_fn="predict_proba",
            **options,
        )
    return int(mlflow.register_model(info.model_uri, name).version)


def hostile(register: Register, name: str) -> int:
    """Register a pipeline whose skops file contains a function that is not trusted."""
    x = np.array([[0.0], [1.0]])
    pipeline = make_pipeline(FunctionTransformer(os.path.exists), LogisticRegression())
    pipeline[-1].fit(x, [0, 1])
    return log_pipeline(name, pipeline, skops_trusted_types=["genericpath.exists"])


def without_signature(register: Register, name: str) -> int:
    """Register a version without a signature."""
    return register(name, "v9.0.0", alias=None, log_options={"signature": None})


def pickled(register: Register, name: str) -> int:
    """Register a version as a pickle."""
    options = {"serialization_format": "cloudpickle", "skops_trusted_types": None}
    return register(name, "v9.0.0", alias=None, log_options=options)


def with_code(register: Register, name: str) -> int:
    """Register a version with `code_paths`."""
    return register(name, "v9.0.0", alias=None, log_options={"code_paths": [__file__]})


def wrong_score(register: Register, name: str) -> int:
    """Register a version whose contract example has a wrong score."""

    def change(contract: ModelContract) -> ModelContract:
        assert contract.example
        example = Example(contract.example.instance, contract.example.score + 1e-3)
        return replace(contract, example=example)

    return register(name, "v9.0.0", alias=None, change=change)


def other_features(register: Register, name: str) -> int:
    """Register a version whose contract lists the features in another order than its signature."""

    def change(contract: ModelContract) -> ModelContract:
        return replace(contract, features=contract.features[::-1])

    return register(name, "v9.0.0", alias=None, change=change)


def narrower(register: Register, name: str) -> int:
    """Register a version that narrows a range of the served version's contract."""

    def change(contract: ModelContract) -> ModelContract:
        first, *others = contract.features
        return replace(contract, features=(replace(first, max=0.0), *others), example=None)

    return register(name, "v9.0.0", alias=None, change=change)


def without_contract(register: Register, name: str) -> int:
    """Register a version without a contract, which has other output names."""
    return register(name, "v9.0.0", alias=None, log_options={"metadata": {"a": 1}})


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (hostile, "genericpath.exists"),
        (without_signature, "assinatura"),
        (pickled, "ALLOW_PICKLE"),
        (with_code, "code_paths"),
        (wrong_score, "score"),
        (other_features, "contrato"),
        (without_contract, "incompatível"),
        (narrower, "o máximo cai para 0"),
    ],
)
def test_an_unfit_version_is_refused_and_the_old_one_serves_on(
    make: Callable[[Register, str], int], why: str, register_version: Register, proxy: Any
) -> None:
    """Health has the reason, the log has it once, and a valid alias makes it healthy again."""
    name, client, good = proxy.settings.model_name, MlflowClient(), 1
    bad = make(register_version, name)
    modules = set(sys.modules)
    client.set_registered_model_alias(name, "champion", str(bad))
    health = proxy.wait_for(alias_version=bad)
    assert (health["status"], health["registry_version"]) == ("degraded", good)
    (reason,) = health["reasons"]
    assert f"aponta para a versão {bad}, servindo a {good}, porque" in reason
    assert why in reason
    assert proxy.predict(ROW).status_code == 200
    time.sleep(0.4)  # several polls, of which only the first may log
    client.set_registered_model_alias(name, "champion", str(good))
    assert proxy.wait_for(alias_version=good)["status"] == "healthy"
    errors = [line["message"] for line in proxy.log() if line["level"] == "ERROR"]
    assert errors.count(reason) == 1
    assert errors[-1] == reason
    assert not {m for m in set(sys.modules) - modules if "test_" in m}


def test_a_change_of_the_contract_is_served_once_it_is_accepted(
    register_version: Register, proxy: Any
) -> None:
    """A breaking version is served, without a restart, once it has the acceptance tag."""
    name, client = proxy.settings.model_name, MlflowClient()
    bad = narrower(register_version, name)
    client.set_registered_model_alias(name, "champion", str(bad))
    assert proxy.wait_for(alias_version=bad)["registry_version"] == 1
    client.set_model_version_tag(name, str(bad), "contract_change", "accepted")
    assert proxy.wait_for(registry_version=bad)["status"] == "healthy"


def test_a_deleted_alias_is_said_and_recovered_from(
    register_version: Register, new_model: Callable[[], str], start: Callable[..., Any]
) -> None:
    """Without the alias the proxy keeps serving, degraded; once it is restored, healthy."""
    name, client = new_model(), MlflowClient()
    number = register_version(name)
    proxy = start(name).wait_ready()
    client.delete_registered_model_alias(name, "champion")
    health = proxy.wait_for(alias_version=None)
    assert (health["status"], health["registry_version"]) == ("degraded", number)
    assert "não tem o alias champion" in health["reasons"][0]
    assert proxy.predict(ROW).status_code == 200
    client.set_registered_model_alias(name, "champion", str(number))
    assert proxy.wait_for(alias_version=number)["status"] == "healthy"


def test_an_unreachable_server_is_said(
    new_model: Callable[[], str],
    start: Callable[..., Any],
    free_port: Callable[[], int],
    eventually: Callable[..., Any],
) -> None:
    """An unreachable MLflow server is reported as such, not as a missing model."""
    proxy = start(new_model(), mlflow_tracking_uri=f"http://127.0.0.1:{free_port()}")

    eventually(lambda: "não responde" in str(proxy.health()["reasons"]))
    assert proxy.health()["registry_reachable"] is False


def test_a_model_registered_later_is_picked_up(
    register_version: Register, new_model: Callable[[], str], start: Callable[..., Any]
) -> None:
    """A proxy started before the model is registered serves it afterwards."""
    name = new_model()
    proxy = start(name)
    proxy.wait_for(registry_reachable=True, model_loaded=False)
    register_version(name)
    assert proxy.wait_ready().predict(ROW).status_code == 200


def test_a_pickle_is_served_where_the_operator_trusts_it(
    register_version: Register, new_model: Callable[[], str], start: Callable[..., Any]
) -> None:
    """ALLOW_PICKLE=true serves a pickle with equal scores; `code_paths` stay refused."""
    name, client = new_model(), MlflowClient()
    register_version(name)
    proxy = start(name, allow_pickle=True).wait_ready()
    expected = proxy.predict(ROW).json()["predictions"][0]["failure_score"]
    number = pickled(register_version, name)
    client.set_registered_model_alias(name, "champion", str(number))
    proxy.wait_for(registry_version=number, status="healthy")
    answer = proxy.predict(ROW).json()
    assert answer["model_version"] == "v9.0.0"
    assert answer["predictions"][0]["failure_score"] == pytest.approx(expected, abs=1e-12)
    bad = with_code(register_version, name)
    client.set_registered_model_alias(name, "champion", str(bad))
    assert proxy.wait_for(alias_version=bad)["registry_version"] == number


def test_old_versions_are_released(
    register_version: Register, new_model: Callable[[], str], start: Callable[..., Any]
) -> None:
    """After many flips only the served and the previous version are in memory."""
    name, client = new_model(), MlflowClient()
    first = register_version(name, "v1.0.0")
    second = register_version(name, "v1.1.0", seed=5, alias=None)
    proxy = start(name, poll_seconds=0.1).wait_ready()
    for flip in range(12):
        number = (second, first)[flip % 2]
        client.set_registered_model_alias(name, "champion", str(number))
        proxy.wait_for(registry_version=number)
        assert proxy.predict(ROW).status_code == 200
    gc.collect()
    alive = [o for o in gc.get_objects() if isinstance(o, LoadedVersion) and o.name == name]
    assert sorted(version.number for version in alive) == [first, second]


def test_a_version_that_a_gateway_garbled_is_tried_again(
    register_version: Register,
    new_model: Callable[[], str],
    start: Callable[..., Any],
    mlflow_server: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A gateway's page in place of the files is refused; the download is retried later."""
    monkeypatch.setattr("serving.following.follower._REFUSED_PAUSES", (0.1, 0.2))
    name, lies = new_model(), threading.Event()
    number = register_version(name)
    gateway = WrongServer(passing_on(mlflow_server, lies))
    threading.Thread(target=gateway.serve_forever, args=(0.02,), daemon=True).start()
    try:
        lies.set()
        proxy = start(name, mlflow_tracking_uri=gateway.uri)
        (reason,) = proxy.wait_for(alias_version=number)["reasons"]
        assert "MLmodel" in reason
        lies.clear()
        proxy.wait_for(registry_version=number, status="healthy")
    finally:
        gateway.shutdown()
        gateway.server_close()


def test_a_start_needs_no_download_of_what_this_host_has(
    mlflow_server: str,
    register_version: Callable[..., int],
    new_model: Callable[[], str],
    start: Callable[..., Any],
) -> None:
    """The cached version is served as the alias's one, or until another one is downloaded.

    A download refused with 403 is not retried, unlike 503, before the cached version is served.
    """
    name, lies, client = new_model(), threading.Event(), MlflowClient()
    number = register_version(name)
    gateway = WrongServer(passing_on(mlflow_server, lies, status=403))
    threading.Thread(target=gateway.serve_forever, args=(0.02,), daemon=True).start()
    try:
        start(name, mlflow_tracking_uri=gateway.uri).wait_ready()
        client.set_model_version_tag(name, str(number), "threshold", "0.7")
        lies.set()
        same = start(name, mlflow_tracking_uri=gateway.uri).wait_ready()
        health = same.wait_for(model_source="registry", status="healthy")
        assert (health["registry_version"], health["alias_version"]) == (number, number)
        assert same.predict(ROW).json()["threshold"] == 0.7
        newer = register_version(name)
        other = start(name, mlflow_tracking_uri=gateway.uri).wait_ready()
        health = other.wait_for(model_source="cache", status="degraded")
        assert (health["registry_version"], health["alias_version"]) == (number, newer)
        assert other.predict(ROW).status_code == 200
        lies.clear()
        other.wait_for(model_source="registry", registry_version=newer, status="healthy")
    finally:
        gateway.shutdown()
        gateway.server_close()


def test_a_start_beside_a_refused_version_goes_on_with_the_copy(
    register_version: Register, new_model: Callable[[], str], start: Callable[..., Any]
) -> None:
    """After a restart with a refused version as champion, the cached version is served."""
    name = new_model()
    good = register_version(name)
    start(name).wait_ready()
    bad = without_signature(register_version, name)
    MlflowClient().set_registered_model_alias(name, "champion", str(bad))
    again = start(name).wait_ready()
    health = again.wait_for(alias_version=bad, status="degraded")
    assert (health["registry_version"], health["model_source"]) == (good, "cache")
    assert "assinatura" in health["reasons"][0]


def test_a_refused_version_is_not_fetched_at_each_look(
    mlflow_server: str,
    register_version: Register,
    new_model: Callable[[], str],
    start: Callable[..., Any],
    eventually: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The alias is still polled, but a refused version's files are not downloaded again."""
    monkeypatch.setattr("serving.following.follower._REFUSED_PAUSES", (600.0, 600.0))
    name, seen = new_model(), list[str]()
    pass_on = passing_on(mlflow_server, threading.Event())

    def noting(handler: Any) -> None:
        seen.append(handler.path)
        pass_on(handler)

    gateway = WrongServer(noting)
    threading.Thread(target=gateway.serve_forever, args=(0.02,), daemon=True).start()
    try:
        bad = without_signature(register_version, name)
        MlflowClient().set_registered_model_alias(name, "champion", str(bad))
        proxy = start(name, mlflow_tracking_uri=gateway.uri)
        proxy.wait_for(alias_version=bad, model_loaded=False)
        looks = len(seen)
        eventually(lambda: len(seen) > looks + 20, 60)
        assert [path for path in seen[:looks] if "artifacts" in path]
        assert not [path for path in seen[looks:] if "artifacts" in path]
    finally:
        gateway.shutdown()
        gateway.server_close()


def passing_on(
    server: str, lies: threading.Event, status: int | None = None
) -> Callable[[Any], None]:
    """Return a handler that forwards to the server, but fakes artifacts while `lies` is set."""

    def answer(handler: Any) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        body = handler.rfile.read(length) if length else None
        headers = {"Content-Type": handler.headers.get("Content-Type") or "application/json"}
        asked = httpx.request(
            handler.command, server + handler.path, content=body, headers=headers, timeout=60
        )
        lie = lies.is_set() and "/mlflow-artifacts/artifacts/" in handler.path
        content = b"<html>Sign in</html>" if lie else asked.content
        handler.send_response(status if lie and status else asked.status_code)
        handler.send_header("Content-Type", asked.headers.get("Content-Type", "text/plain"))
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return answer
