"""Every command on versions that a plain script registered, without tag or contract."""

from collections.abc import Callable, Iterator
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from core.contract import names
from core.mlflow_client.errors import UnknownVersion, UnreadableContract
from core.registry.packages import read_contract
from core.registry.registering import register
from core.registry.versions import Registry, open_registry
from mlflow_project.registry import main
from monitoring.tracking.jobs import JobRegistry

FRAME = pd.DataFrame({"age": [20.0, 30.0, 40.0, 50.0], "visits": [1.0, 5.0, 2.0, 8.0]})
Register = Callable[..., int]


@pytest.fixture
def plain(
    mlflow_server: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Registry, Register]]:
    """Yield the registry of a new model, and a function that registers by plain MLflow calls."""
    name = f"plain-{request.node.name}"[:60].replace("[", "-").replace("]", "")
    monkeypatch.setenv("MODEL_NAME", name)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    mlflow.set_tracking_uri(mlflow_server)
    mlflow.set_experiment(name)

    def register(model: Any, tags: dict[str, str] | None = None, **options: Any) -> int:
        with mlflow.start_run():
            info = mlflow.sklearn.log_model(
                model, name="model", pip_requirements=["scikit-learn"], **options
            )
        return int(mlflow.register_model(info.model_uri, name, tags=tags).version)

    yield open_registry(name), register


def regression() -> LinearRegression:
    """Return a fitted regression."""
    return LinearRegression().fit(FRAME, [1.0, 2.0, 3.0, 4.0])


def test_every_command_takes_the_release_that_answers_carry(
    plain: tuple[Registry, Register], capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    """List, promote, rollback, diff and export take an untagged regression as `v0.0.<number>`."""
    registry, register = plain
    for _ in range(2):
        register(regression(), input_example=FRAME)
    assert [v.release for v in registry.versions()] == ["v0.0.2", "v0.0.1"]
    for release in ("v0.0.1", "v0.0.2"):
        assert main(["promote", "--model_version", release]) == 0
    assert registry.aliases() == {names.CHAMPION: 2, names.PREVIOUS: 1}
    assert main(["rollback", "--reason", "worse"]) == 0
    assert main(["diff", "v0.0.1", "v0.0.2"]) == 0
    assert main(["export", "v0.0.2", str(tmp_path / "bundle.zip")]) == 0
    capsys.readouterr()
    assert main(["list"]) == 0
    assert "v0.0.1" in capsys.readouterr().out
    # It has no score that a threshold could be compared with.
    assert main(["threshold", "--model_version", "v0.0.1", "--value", "0.4", "--reason", "x"]) == 1
    assert "v0.0.1" in capsys.readouterr().err


def test_registering_says_nothing_in_english(
    plain: tuple[Registry, Register], capsys: pytest.CaptureFixture[str]
) -> None:
    """Registering prints no message of MLflow, and links the logged model to its versions."""
    registry, _register = plain
    with mlflow.start_run():
        model = mlflow.sklearn.log_model(regression(), name="model", pip_requirements=[])
    capsys.readouterr()
    assert [register(registry, model.model_uri, {}) for _ in range(2)] == [1, 2]
    assert capsys.readouterr() == ("", "")
    assert "2" in mlflow.get_logged_model(model.model_id).tags["mlflow.modelVersions"]


def test_jobs_derive_the_contract_that_the_proxy_derives(
    plain: tuple[Registry, Register],
) -> None:
    """Jobs derive the same contract from a signature as the proxy, with named outputs."""
    registry, register = plain
    number = register(regression(), input_example=FRAME)
    registry.set_alias(names.CHAMPION, number)
    version = JobRegistry().version()
    assert version.release == f"v0.0.{number}"
    assert version.served
    assert version.contract.feature_names == ("age", "visits")
    assert version.contract.outputs
    assert version.contract == read_contract(registry, registry.by_release(version.release))


def test_a_tagged_version_is_found_by_its_tag_only(plain: tuple[Registry, Register]) -> None:
    """A release is its newest tagged version; the error for an unknown one lists the known."""
    registry, register = plain
    register(regression(), {names.TAG_RELEASE: "v1.0.0"}, input_example=FRAME)
    newest = register(regression(), {names.TAG_RELEASE: "v1.0.0"}, input_example=FRAME)
    assert registry.by_release("v1.0.0").number == newest
    for unknown in ("v0.0.1", "v9.0.0", "' or ''='", "champion"):
        with pytest.raises(UnknownVersion, match=r"v1\.0\.0"):
            registry.by_release(unknown)


def test_a_version_without_signature_is_refused_in_words(
    plain: tuple[Registry, Register], capsys: pytest.CaptureFixture[str]
) -> None:
    """A version without a signature is rejected with an error that names the signature."""
    registry, register = plain
    register(LogisticRegression().fit(FRAME, np.array([0, 1, 0, 1])))
    version = registry.by_release("v0.0.1")
    with pytest.raises(UnreadableContract, match="signature"):
        read_contract(registry, version)
    assert main(["promote", "--model_version", "v0.0.1"]) == 1
    assert "signature" in capsys.readouterr().err


def test_an_untagged_version_is_found_by_the_release_its_contract_states(
    register_version: Register, monkeypatch: pytest.MonkeyPatch, mlflow_server: str
) -> None:
    """An untagged version is found by its contract's release, which its responses carry."""
    number = register_version("stated-only", "v1.4.0", alias=None)
    registry = Registry("stated-only", mlflow_server)
    registry.client.delete_model_version_tag("stated-only", str(number), names.TAG_RELEASE)
    assert registry.by_release("v1.4.0").number == number


def test_the_newest_are_asked_of_the_server(plain: tuple[Registry, Register]) -> None:
    """`versions(last=n)` returns the n newest versions, newest first."""
    registry, register = plain
    for _ in range(3):
        register(regression(), input_example=FRAME)
    assert [v.number for v in registry.versions(last=2)] == [3, 2]
    assert [v.number for v in registry.versions()] == [3, 2, 1]
