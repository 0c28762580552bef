"""The shadow report against a live MLflow server and a store with both roles."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.contract import names
from core.store.schema import ROLE_SHADOW
from monitoring import shadow_report

MODEL = "shadowed-machine"


@pytest.fixture(scope="module")
def numbers(mlflow_server: str, register_version: Callable[..., int]) -> tuple[int, int]:
    """Register champion v1.0.0 and challenger v1.1.0; return their numbers."""
    champion = register_version(MODEL, "v1.0.0")
    return champion, register_version(MODEL, "v1.1.0", alias=names.CHALLENGER, seed=1)


@pytest.fixture(autouse=True)
def model_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set `MODEL_NAME` to this file's model."""
    monkeypatch.setenv("MODEL_NAME", MODEL)


def scored(scores: np.ndarray) -> list[dict[str, Any]]:
    """Return captured rows with these scores, flagged from 0.5 on."""
    return [
        {"temperature": 20.0, "pressure": 1000.0, "wear": 1.0, "score": s, "label": int(s >= 0.5)}
        for s in scores.tolist()
    ]


def test_both_versions_on_the_same_rows(
    numbers: tuple[int, int], writer: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows of both roles are paired across journal and Parquet; file, run and output agree."""
    import mlflow

    score = np.random.default_rng(0).random(120)
    champion, challenger = numbers
    writer.parquet(writer.journal(scored(score), model=MODEL, number=champion))
    shadow = scored(np.minimum(score + 0.1, 1.0))
    writer.journal(shadow, model=MODEL, number=challenger, role=ROLE_SHADOW)
    out = tmp_path / "reports"
    capsys.readouterr()
    assert shadow_report.main(["--inference_store", str(writer.folder), "--output", str(out)]) == 0
    only_shadow = int(((score >= 0.4) & (score < 0.5)).sum())
    assert f"{only_shadow} só v1.1.0" in capsys.readouterr().out
    (file,) = out.glob("v1.1.0/shadow_metrics_*.json")
    found = json.loads(file.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert (found["n_entities"], found["n_only_answered"]) == (120, 0)
    assert found["n_only_shadow"] == only_shadow
    client = mlflow.MlflowClient()
    run = client.get_run(found["mlflow_run_id"])
    assert run.data.tags["job"] == "shadow"
    assert run.data.metrics["share_differ"] == pytest.approx(only_shadow / 120)
    listed = {item.path for item in client.list_artifacts(run.info.run_id, "shadow")}
    assert {Path(path).suffix for path in listed} == {".html", ".json"}


def test_a_version_is_not_its_own_shadow(
    numbers: tuple[int, int], writer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A version as its own shadow is refused, and the error names `--shadow`."""
    store = ["--inference_store", str(writer.folder)]
    assert shadow_report.main(["--shadow", "v1.0.0", *store]) == 1
    told = capsys.readouterr().err
    assert "v1.0.0 seria comparada com ela mesma; indique outra" in told
    assert "--shadow" in told
