"""Versions that a plain script registered, of every kind: commands and jobs take `v0.0.n`."""

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import log_loss

from core.contract.columns import probability_columns
from core.store.schema import ROLE_SHADOW
from mlflow_project import registry as commands
from monitoring import (
    build_baseline,
    drift_report,
    performance_report,
    rehearsal,
    shadow_report,
)
from tests.stored import StoreWriter

ROWS = 300
RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(RNG.uniform(0, 10, (ROWS, 2)), columns=["area", "rooms"]).astype("float32")
PRICE = 3.0 * FRAME["area"] + 2.0 * FRAME["rooms"] + RNG.normal(0, 2, ROWS)
KINDS: dict[str, tuple[Any, np.ndarray, str]] = {
    "two-class": (LogisticRegression(), np.where(PRICE > 25, "dear", "cheap"), "predict_proba"),
    "labels": (LogisticRegression(), np.where(PRICE > 25, "dear", "cheap"), "predict"),
    "regression": (LinearRegression(), PRICE.to_numpy(), "predict"),
    "multi-class": (
        LogisticRegression(),
        np.select([PRICE < 20, PRICE < 30], ["cheap", "fair"], "dear"),
        "predict_proba",
    ),
}
KIND = {
    "regression": "value",
    "two-class": "classes",
    "labels": "classes",
    "multi-class": "classes",
}
TESTED = {"regression": {"test_mae": 1.6, "test_r2": 0.93}}


def register(name: str, kind: str) -> Any:
    """Register two versions as a plain script does; return the estimator."""
    estimator, target, method = KINDS[kind]
    estimator.fit(FRAME, target)
    mlflow.set_experiment(name)
    with mlflow.start_run():
        mlflow.log_metrics(TESTED.get(kind, {"test_accuracy": 0.85, "test_macro_f1": 0.8}))
        info = mlflow.sklearn.log_model(
            estimator,
            name="model",
            signature=infer_signature(FRAME, getattr(estimator, method)(FRAME)),
            pyfunc_predict_fn=method,
            serialization_format="skops",
            pip_requirements=["scikit-learn"],
        )
    for _ in range(2):
        mlflow.register_model(info.model_uri, name)
    return estimator


def captured(kind: str, estimator: Any) -> list[dict[str, Any]]:
    """Return all rows as a proxy captures them."""
    rows = [dict(zip(FRAME, map(float, row), strict=True)) for row in FRAME.to_numpy()]
    if kind == "regression":
        scores, labels = estimator.predict(FRAME), [None] * ROWS
    else:
        labels = estimator.predict_proba(FRAME).argmax(axis=1).tolist()
        column = 1 if kind == "two-class" else 0
        scores = estimator.predict_proba(FRAME)[:, column] if kind != "labels" else [None] * ROWS
    for row, score, label in zip(rows, scores, labels, strict=True):
        score = None if score is None else float(score)
        row |= {"score": score, "label": label, "threshold": None}
    if kind == "multi-class":
        kept = list(probability_columns(3))
        for row, each in zip(rows, estimator.predict_proba(FRAME).tolist(), strict=True):
            row |= dict(zip(kept, each, strict=True))
    return rows


@pytest.mark.parametrize(
    "kind",
    [
        "two-class",
        pytest.param("labels", marks=pytest.mark.slow),
        "regression",
        pytest.param("multi-class", marks=pytest.mark.slow),
    ],
)
def test_commands_and_jobs_take_the_releases_that_answers_carry(
    kind: str,
    mlflow_server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Commands and monitoring jobs take `v0.0.n` of each kind of model; a threshold is rejected."""
    name = f"plain-{kind}"
    monkeypatch.setenv("MODEL_NAME", name)
    mlflow.set_tracking_uri(mlflow_server)
    estimator = register(name, kind)
    FRAME.to_parquet(tmp_path / "train.parquet")

    def run(*command: str) -> int:
        return commands.main(list(command))

    assert run("promote", "--model_version", "v0.0.1") == 0
    assert run("promote", "--model_version", "v0.0.2") == 0
    assert run("rollback", "--reason", "a drill") == 0
    assert run("describe", "v0.0.1", "--units", "area=m²", "--accept-contract-change") == 0
    threshold = ["--model_version", "v0.0.1", "--value", "0.4", "--reason", "x"]
    assert run("threshold", *threshold) == 1
    assert "v0.0.1" in capsys.readouterr().err
    assert run("diff", "v0.0.1", "v0.0.2") == 0
    assert "m²" in capsys.readouterr().out
    assert run("export", "v0.0.1", str(tmp_path / "bundle.zip")) == 0

    source = str(tmp_path / "train.parquet")
    assert build_baseline.main(["--model_version", "v0.0.1", "--source", source]) == 0
    kept = probability_columns(3 if kind == "multi-class" else 0)
    writer = StoreWriter(tmp_path / "store", {**dict.fromkeys(FRAME, "double"), **kept})
    rows = captured(kind, estimator)
    writer.journal(rows, model=name, number=1)
    where = ["--inference_store", str(writer.folder), "--output", str(tmp_path / "out")]
    asked = ["--model_version", "v0.0.1", *where]
    assert drift_report.main([*asked, "--last_n_days", "1"]) == 0
    numbers = read(tmp_path / "out", "drift")
    assert numbers["score_drift"]["status"] == "GREEN"
    assert numbers["score_drift"]["effect"] < 0.1
    foretold = numbers["expected_performance"]
    if kind in ("two-class", "multi-class"):
        sure = estimator.predict_proba(FRAME).max(axis=1).mean()
        assert foretold["accuracy"]["value"] == pytest.approx(sure)
    else:
        assert foretold is None
    (page,) = (tmp_path / "out" / "v0.0.1").glob("drift_*.html")
    assert ("Nenhum desempenho é previsto" in page.read_text("utf-8")) == (foretold is None)

    writer.journal(rows, model=name, number=2, role=ROLE_SHADOW)
    assert shadow_report.main([*asked, "--shadow", "v0.0.2"]) == 0
    (report,) = (tmp_path / "out" / "v0.0.2").glob("shadow_metrics_*.json")
    beside = json.loads(report.read_text(encoding="utf-8"))
    assert (beside["kind"], beside["n_entities"]) == (
        "value" if kind == "regression" else "classes",
        ROWS,
    )
    same = beside["mae"] if kind == "regression" else beside["share_differ"]["value"]
    assert same == 0

    changes = tmp_path / "changes.csv"
    again = ["v0.0.2", *where[:2], "--reports", str(tmp_path / "out"), "--output", str(changes)]
    assert rehearsal.main([*again, "--against", "v0.0.1"]) == 0
    (report,) = (tmp_path / "out" / "v0.0.2").glob("rehearsal_metrics_*.json")
    replayed = json.loads(report.read_text(encoding="utf-8"))
    assert (replayed["kind"], replayed["n_compared"]) == (KIND[kind], ROWS)
    assert (replayed["n_changed"], replayed["n_refused"]) == (0, 0)
    assert len(changes.read_text("utf-8").splitlines()) == 1
    assert (replayed["expected_after"] is None) == (foretold is None)
    if foretold:
        assert replayed["expected_after"]["accuracy"]["value"] == pytest.approx(sure)

    outcomes = pd.DataFrame(
        {
            "request_id": [f"r{i // 10}" for i in range(ROWS)],
            "instance": [i % 10 for i in range(ROWS)],
            "target": KINDS[kind][1],
        }
    )
    outcomes.to_csv(tmp_path / "outcomes.csv", index=False)
    labels = ["--labels", str(tmp_path / "outcomes.csv")]
    assert performance_report.main([*labels, *asked]) == 0
    numbers = read(tmp_path / "out", "performance")
    assert (numbers["performance_status"], numbers["n_rows"]) == ("OK", ROWS)
    found = numbers["metrics"]
    if kind == "regression":
        assert found["r2"]["value"] == pytest.approx(estimator.score(FRAME, PRICE))
        assert sum(band["n"] for band in numbers["bands"]) == ROWS
    else:
        assert found["accuracy"]["value"] == pytest.approx(estimator.score(FRAME, KINDS[kind][1]))
        assert numbers["classes"] == estimator.classes_.tolist()
        assert ("log_loss" in found) == (kind != "labels")
        if kind != "labels":
            loss = log_loss(KINDS[kind][1], estimator.predict_proba(FRAME))
            assert found["log_loss"]["value"] == pytest.approx(loss)


def read(folder: Path, job: str) -> dict[str, Any]:
    """Return the numbers of the only report of a job."""
    (file,) = (folder / "v0.0.1").glob(f"{job}_metrics_*.json")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found
