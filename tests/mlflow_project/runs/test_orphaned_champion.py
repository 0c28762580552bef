"""A retrain against a champion whose run was deleted and garbage-collected."""

from pathlib import Path

import mlflow
import pandas as pd
import pytest

from core.registry.runs import read_run
from core.registry.versions import open_registry
from mlflow_project.flips import promotion
from mlflow_project.gate.verdict import ARTIFACT_GATE
from mlflow_project.registry import main
from mlflow_project.runs.training_run import train
from tests.live import ROOT
from tests.mlflow_servers import collect_run


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_retrain_needs_no_run_of_the_champion(
    dataset_file: Path,
    mlflow_server: str,
    mlflow_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without the champion's run a retrain is still compared with it, registered and promoted."""
    monkeypatch.setenv("MODEL_NAME", "orphaned")
    # The first baseline is built in a subprocess.
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(mlflow_server)
    train(dataset_file)
    registry = open_registry()
    promotion.promote(registry, "v1.0.0", "first", force=True)
    champion = registry.by_release("v1.0.0")
    collect_run(str(champion.run_id), mlflow_folder, mlflow_server)
    assert read_run(registry, champion.run_id) is None

    fewer = tmp_path / "fewer.parquet"
    pd.read_parquet(dataset_file).iloc[::-1].iloc[30:].to_parquet(fewer)
    result = train(fewer)
    assert result.release == "v1.1.0"
    run_id = registry.by_release("v1.1.0").run_id
    judged = mlflow.load_table(ARTIFACT_GATE, run_ids=[run_id])["name"]
    assert any("gain" in name for name in judged), judged
    assert main(["diff", "v1.0.0", "v1.1.0"]) == 0
    assert "v1.0.0" in capsys.readouterr().out
    options = [] if result.passed else ["--force", "--reason", "test"]
    assert main(["promote", "--model_version", "v1.1.0", *options]) == 0
    assert main(["rollback", "--reason", "back"]) == 0
