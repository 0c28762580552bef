"""Two live MLflow servers: one tracks runs, the other registers versions."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from core.contract import names
from core.mlflow_client.errors import NotPortable
from core.registry.evidence import fetch_evidence
from core.registry.registering import register
from core.registry.versions import Registry, open_registry
from mlflow_project.flips import promotion
from serving.config.registry import registry_of
from serving.config.settings import Settings
from serving.model.loading import load_version
from tests import tiny_versions
from tests.live import make_bucket, run_here
from tests.mlflow_servers import running_mlflow

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
MODEL = "two.servers.one-model"
KIND = tiny_versions.Kind("v1.0.0", 0.5, 0, 400)


@pytest.fixture(scope="module")
def tracker(object_store: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of a tracking server whose artifacts clients upload to a bucket."""
    with pytest.MonkeyPatch.context() as patch:
        bucket = make_bucket(object_store, patch)
        with running_mlflow(tmp_path_factory.mktemp("tracker"), bucket) as uri:
            yield uri


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Registry]:
    """Return a function that sets tracking and registry server and opens the registry."""

    def use(tracking: str, registering: str) -> Registry:
        environ = {
            "MLFLOW_TRACKING_URI": tracking,
            "MLFLOW_REGISTRY_URI": registering,
            "MODEL_NAME": MODEL,
        }
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        mlflow.set_tracking_uri(tracking)
        return open_registry()

    return use


def test_runs_are_tracked_by_one_server_and_versions_registered_by_the_other(
    tracker: str,
    mlflow_server: str,
    between: Callable[[str, str], Registry],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One server has versions and aliases, the other runs, ledger and baseline; both are used."""
    registry = between(tracker, mlflow_server)
    uri = tiny_versions.log(KIND, tiny_versions.unchanged, {})
    number = register(registry, uri, {names.TAG_RELEASE: "v1.0.0"})
    promotion.promote(registry, "v1.0.0", "first")
    assert MlflowClient(mlflow_server, mlflow_server).get_model_version_by_alias(
        MODEL, names.CHAMPION
    ).version == str(number)
    assert not MlflowClient(tracker, tracker).search_registered_models(f"name = '{MODEL}'")
    ledger = names.ledger_experiment(MODEL)
    assert MlflowClient(tracker).get_experiment_by_name(ledger) is not None
    assert MlflowClient(mlflow_server).get_experiment_by_name(ledger) is None

    settings = Settings.from_env()
    served = registry_of(settings, settings.model_alias)
    version = served.resolve()
    assert version.model_id == uri.removeprefix("models:/")
    assert load_version(served, version, settings, lambda *_: None).contract.release == "v1.0.0"
    assert fetch_evidence(served, version, names.ARTIFACT_REFERENCE, tmp_path) is not None

    environ = {name: os.environ[name] for name in ("MLFLOW_TRACKING_URI", "MODEL_NAME")}
    monkeypatch.delenv("MLFLOW_REGISTRY_URI")
    told = run_here(
        ["monitoring.build_baseline", "--model_version", "v1.0.0"],
        {**environ, "REGISTRY_URI": mlflow_server},
    )
    assert "v1.0.0" in told
    assert names.TAG_BASELINE_RUN_ID in served.resolve().tags
    run_id = served.resolve().tags[names.TAG_BASELINE_RUN_ID]
    assert MlflowClient(tracker).get_run(run_id).info.status == "FINISHED"


def test_files_behind_the_tracking_server_are_refused_with_what_to_do(
    tracker: str, mlflow_server: str, between: Callable[[str, str], Registry]
) -> None:
    """Artifacts behind another server raise NotPortable on registration; no model is created."""
    registry = between(mlflow_server, tracker)
    uri = tiny_versions.log(KIND, tiny_versions.unchanged, {})
    with pytest.raises(NotPortable, match=r"registry export.*import"):
        register(registry, uri, {names.TAG_RELEASE: "v1.0.0"})
    assert not MlflowClient(tracker, tracker).search_registered_models(f"name = '{MODEL}'")
