"""Evidence of a version outlives its run, which anyone may delete and garbage-collect."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from core.contract import names
from core.registry.evidence import fetch_evidence, training_record
from core.registry.packages import download
from core.registry.runs import read_run
from core.registry.versions import Registry, Version, open_registry
from mlflow_project.flips import promotion
from mlflow_project.registry import main
from monitoring.tracking.jobs import JobRegistry
from tests.mlflow_servers import collect_run

SCORES = pd.DataFrame({"row": ["a", "b"], "target": [0, 1], "score": [0.25, 0.75]})


@pytest.fixture
def orphan(
    register_version: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    mlflow_folder: Path,
    mlflow_server: str,
    tmp_path: Path,
) -> tuple[Registry, Version]:
    """Return a registry whose champion v1.0.0 has evidence and no run, and that version."""
    monkeypatch.setenv("MODEL_NAME", "runless")
    registry = open_registry()
    if registry.by_alias(names.CHAMPION) is None:
        register_version("runless", "v1.1.0", alias=None, seed=1)
        register_version("runless", "v1.0.0", alias=None, log_options={})
        version = registry.by_release("v1.0.0")
        for artifact in (names.ARTIFACT_EVALUATION, names.ARTIFACT_REFERENCE):
            path = tmp_path / "evidence" / artifact
            path.parent.mkdir(parents=True)
            SCORES.to_parquet(path)
        assert version.model_id
        registry.client.log_model_artifacts(version.model_id, str(tmp_path / "evidence"))
        promotion.promote(registry, "v1.0.0", "first")
        collect_run(str(version.run_id), mlflow_folder, mlflow_server)
    return registry, registry.by_release("v1.0.0")


def test_evidence_outlives_the_run(orphan: tuple[Registry, Version], tmp_path: Path) -> None:
    """Evaluation scores and reference are read from the version after its run was deleted."""
    registry, version = orphan
    assert read_run(registry, version.run_id) is None
    path = fetch_evidence(registry, version, names.ARTIFACT_EVALUATION, tmp_path)
    assert path is not None
    assert pd.read_parquet(path).equals(SCORES)
    monitored = JobRegistry().version("v1.0.0")
    table = JobRegistry().reference(monitored)
    assert table is not None
    assert table.num_rows == len(SCORES)
    record = training_record(registry, version)
    assert not record.complete
    assert record.params["release"] == "v1.0.0"


def test_an_older_version_has_it_in_its_run(
    orphan: tuple[Registry, Version], tmp_path: Path
) -> None:
    """Evidence of a version without its own is read from its run; None where the run has none."""
    registry, _ = orphan
    older = registry.by_release("v1.1.0")
    assert fetch_evidence(registry, older, names.ARTIFACT_REFERENCE, tmp_path) is not None
    assert fetch_evidence(registry, older, names.ARTIFACT_EVALUATION, tmp_path) is None


def test_the_proxy_gets_no_training_rows(orphan: tuple[Registry, Version], tmp_path: Path) -> None:
    """The package that the proxy downloads contains no evidence files."""
    registry, version = orphan
    package = download(registry, version.number, tmp_path)
    assert not list(package.folder.rglob("*.parquet"))


def test_commands_go_on_without_the_run(
    orphan: tuple[Registry, Version],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Diff, promote, rollback, export and import need no run that trained the version."""
    registry, _ = orphan
    assert main(["diff", "v1.0.0", "v1.1.0"]) == 0
    assert "A run de v1.0.0 não existe mais" in capsys.readouterr().out
    assert main(["promote", "--model_version", "v1.1.0"]) == 0
    assert main(["rollback", "--reason", "back"]) == 0
    assert registry.aliases()[names.CHAMPION] == registry.by_release("v1.0.0").number
    bundle = tmp_path / "bundle.zip"
    assert main(["export", "v1.0.0", str(bundle)]) == 0
    monkeypatch.setenv("MODEL_NAME", "runless-elsewhere")
    assert main(["import", str(bundle)]) == 0
    elsewhere = open_registry()
    arrived = elsewhere.by_release("v1.0.0")
    path = fetch_evidence(elsewhere, arrived, names.ARTIFACT_EVALUATION, tmp_path)
    assert path is not None
    assert pd.read_parquet(path).equals(SCORES)
