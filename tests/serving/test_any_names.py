"""Feature names of any kind, from request to report; only the store escapes them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.models import ModelSignature, infer_signature
from sklearn.linear_model import LogisticRegression

from core.contract.columns import column_of
from core.store.filesystem import Store
from mlflow_project import registry as commands
from monitoring import build_baseline, drift_report, performance_report, rehearsal
from monitoring.tracking.jobs import JobRegistry
from monitoring.tracking.rows import answered
from monitoring.tracking.window import Window
from serving import score as scoring

RNG = np.random.default_rng(0)
NAMES = ["1st", "😀", "score", "label", "model_version", "threshold", "x" * 300, "a`\nb", "$"]
FRAME = pd.DataFrame(RNG.normal(size=(400, len(NAMES))), columns=NAMES)
CHURNED = (FRAME["score"] + FRAME["1st"] > 0).astype(int)


def publish(name: str, model: Any, signature: ModelSignature) -> None:
    """Register a model with plain MLflow and set the champion alias."""
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(
            model,
            name="model",
            signature=signature,
            pyfunc_predict_fn="predict_proba",
            serialization_format="skops",
            pip_requirements=[],
            registered_model_name=name,
        )
    MlflowClient().set_registered_model_alias(name, "champion", str(info.registered_model_version))


@pytest.fixture
def named(
    mlflow_server: str, new_model: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Yield the name of a model whose column names are invalid or reserved in the store."""
    mlflow.set_tracking_uri(mlflow_server)
    name = new_model()
    monkeypatch.setenv("MODEL_NAME", name)
    model = LogisticRegression().fit(FRAME, CHURNED)
    publish(name, model, infer_signature(FRAME, model.predict_proba(FRAME)))
    yield name


def describe(folder: Path) -> None:
    """Set the version's threshold and its features' descriptions and units by command."""
    facts = pd.DataFrame({"name": NAMES[:4], "description": [f"about {n}" for n in NAMES[:4]]})
    facts.to_csv(folder / "features.csv", index=False)
    FRAME.to_parquet(folder / "train.parquet")
    told = ["--threshold", "0.4", "--descriptions", str(folder / "features.csv")]
    more = ["--units", "😀=kg", "--accept-contract-change"]
    assert commands.main(["describe", "v0.0.1", *told, *more]) == 0


def test_every_command_calls_columns_by_their_own_names(
    named: str,
    start: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    eventually: Callable[..., Any],
) -> None:
    """Responses, documents, files and reports have the features' own names."""
    describe(tmp_path)
    proxy = start(named, capture_flush_seconds=0.2).wait_ready()
    rows = FRAME.to_dict("records")
    answers = [proxy.predict(*rows[at : at + 100]).json() for at in range(0, len(rows), 100)]
    given = [one["score"] for answer in answers for one in answer["predictions"]]
    expected = LogisticRegression().fit(FRAME, CHURNED).predict_proba(FRAME)[:, 1]
    assert np.abs(np.array(given) - expected).max() < 1e-12
    for body in (
        {"dataframe_split": FRAME[:5].to_dict("split")},
        {"dataframe_records": rows[:5]},
        {"inputs": FRAME[:5].to_dict("list")},
    ):
        answer = proxy.http.post("/invocations", json=body).json()
        found = answer.get("predictions")
        assert found, answer
        assert np.abs(np.array(found)[:, 1] - expected[:5]).max() < 1e-12
    text = FRAME[:5].to_csv(index=False)
    found = proxy.http.post("/invocations", content=text, headers={"Content-Type": "text/csv"})
    assert len(found.json()["predictions"]) == 5
    refused = proxy.predict({**rows[0], "😀": "no number"}).json()
    assert refused["error"]["details"][0]["field"] == "😀"

    features = proxy.http.get("/metadata").json()["features"]
    assert [feature["name"] for feature in features] == NAMES
    assert features[0]["description"] == "about 1st"
    assert features[1]["unit"] == "kg"
    api = json.dumps(proxy.http.get("/openapi.json").json(), ensure_ascii=False)
    assert '"😀": {"type":' in api
    assert "@feature_" not in api
    explained = proxy.http.post("/predict", json={"instances": rows[:1], "explain": True}).json()
    assert "explanation" in explained["predictions"][0]

    stored = eventually(lambda: len(proxy.parquet()) and not proxy.journals() and proxy.parquet())
    captured = pd.concat(map(pd.read_parquet, stored))
    captured = captured[captured["request_id"].isin({a["request_id"] for a in answers})]
    assert len(captured) == len(FRAME)
    assert np.array_equal(np.sort(captured[column_of("score")]), np.sort(FRAME["score"].to_numpy()))
    assert np.array_equal(np.sort(captured["score"]), np.sort(np.array(given)))

    source = str(tmp_path / "train.parquet")
    assert build_baseline.main(["--model_version", "v0.0.1", "--source", source]) == 0
    registry = JobRegistry()
    baseline = registry.baseline(registry.version("v0.0.1")).to_dict()
    assert [one["name"] for one in baseline["features"]] == NAMES
    where = ["--inference_store", str(proxy.settings.inference_store)]
    where += ["--output", str(tmp_path / "out"), "--model_version", "v0.0.1"]
    assert drift_report.main([*where, "--last_n_days", "1"]) == 0
    numbers = read(tmp_path / "out", "drift")
    assert list(numbers["feature_drift"]) == NAMES
    assert all(one["psi"] < 0.2 for one in numbers["feature_drift"].values())
    assert numbers["score_drift"]["psi"] < 0.2
    (page,) = (tmp_path / "out" / "v0.0.1").glob("drift_*.html")
    assert "😀" in page.read_text("utf-8")
    assert "@feature_" not in page.read_text("utf-8")

    version = registry.version("v0.0.1")
    captures = Window.of(1.0).captures(Store(proxy.settings.inference_store), version)
    window = answered(captures, version, ())
    assert window.column_names == [*map(column_of, NAMES), "score"]
    again = ["v0.0.1", "--answered_by", "v0.0.1", *where[:2], "--by", "score"]
    again += ["--reports", str(tmp_path / "out")]
    assert rehearsal.main([*again, "--last_n_days", "1"]) == 0
    replayed = read(tmp_path / "out", "rehearsal")
    assert (replayed["n_changed"], replayed["n_refused"]) == (0, 0)
    assert replayed["n_rows"] >= len(FRAME)

    labels = captured[["request_id", "instance"]].assign(target=(captured["score"] > 0.5) * 1)
    labels.to_csv(tmp_path / "labels.csv", index=False)
    asked = ["--labels", str(tmp_path / "labels.csv"), *where]
    assert performance_report.main([*asked]) == 0
    assert read(tmp_path / "out", "performance")["n_rows"] == len(FRAME)


def test_a_scored_file_keeps_the_features_names(
    named: str, tmp_path: Path, mlflow_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Output columns get the prefix `answer_` where a feature has the same name."""
    describe(tmp_path)
    FRAME.assign(who=range(len(FRAME))).to_parquet(tmp_path / "rows.parquet")
    for key, value in {
        "MLFLOW_TRACKING_URI": mlflow_server,
        "INFERENCE_STORE": str(tmp_path / "store"),
        "MODEL_CACHE": str(tmp_path / "cache"),
        "LOG_FILE": str(tmp_path / "log"),
    }.items():
        monkeypatch.setenv(key, value)
    files = ["--source", str(tmp_path / "rows.parquet"), "--output", str(tmp_path / "out.parquet")]
    assert scoring.main([*files, "--keep", "who"]) == 0
    written = pd.read_parquet(tmp_path / "out.parquet")
    answer = ["answer_score", "answer_label", "answer_model_version", "answer_threshold"]
    assert list(written) == ["who", *NAMES, *answer]
    assert np.array_equal(written[NAMES], FRAME)
    expected = LogisticRegression().fit(FRAME, CHURNED).predict_proba(FRAME)[:, 1]
    assert np.abs(written["answer_score"] - expected).max() < 1e-12


def read(folder: Path, job: str) -> dict[str, Any]:
    """Return the metrics of a job's only report."""
    (file,) = (folder / "v0.0.1").glob(f"{job}_metrics_*.json")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found
