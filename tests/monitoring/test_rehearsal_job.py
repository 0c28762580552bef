"""Rehearsals against a live MLflow server and a store, compared with computed numbers."""

import dataclasses
import json
import shutil
import stat
from collections.abc import Callable
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.contract import names
from core.contract.model import ModelContract
from monitoring import rehearsal

MODEL = "rehearsed-machine"
ROWS = 400
needs_spark = pytest.mark.skipif(
    not (find_spec("pyspark") and shutil.which("java")), reason="no pyspark (make spark) or no Java"
)


def stricter(contract: ModelContract) -> ModelContract:
    """Return the contract with a maximum temperature of 25 °C."""
    features = [
        dataclasses.replace(f, max=25.0) if f.name == "temperature" else f
        for f in contract.features
    ]
    return dataclasses.replace(contract, features=tuple(features))


@pytest.fixture(scope="module")
def numbers(mlflow_server: str, register_version: Callable[..., int]) -> dict[str, int]:
    """Register champion, copy, another threshold and stricter contract; return their numbers."""
    return {
        "v1.0.0": register_version(MODEL, "v1.0.0"),
        "v1.0.1": register_version(MODEL, "v1.0.1", alias=None),
        "v1.1.0": register_version(
            MODEL, "v1.1.0", alias=names.CHALLENGER, tags={names.TAG_THRESHOLD: "0.3"}
        ),
        "v1.2.0": register_version(MODEL, "v1.2.0", alias=None, change=stricter),
    }


@pytest.fixture(autouse=True)
def model_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set `MODEL_NAME` to this file's model."""
    monkeypatch.setenv("MODEL_NAME", MODEL)


@pytest.fixture(scope="module")
def scores(numbers: dict[str, int]) -> Callable[[pa.Table], np.ndarray]:
    """Return the champion's scoring function."""
    model = mlflow.pyfunc.load_model(f"models:/{MODEL}/{numbers['v1.0.0']}")
    return lambda table: np.asarray(model.predict(table.to_pandas()))[:, 1]


@pytest.fixture
def rows(
    scores: Callable[[pa.Table], np.ndarray], machine_rows: Callable[..., list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Return rows with the champion's scores and labels."""
    drawn = machine_rows(7, ROWS, scores)
    for row in drawn:
        row["label"] = int(row["score"] >= 0.5)
    return drawn


def rehearse(writer: Any, tmp_path: Path, *options: str) -> dict[str, Any]:
    """Run the command; return the numbers of its JSON file."""
    out = tmp_path / "reports"
    store = ["--inference_store", str(writer.folder), "--reports", str(out)]
    assert rehearsal.main([*options, *store]) == 0
    (file,) = out.glob("v*/rehearsal_metrics_*.json")
    found: dict[str, Any] = json.loads(file.read_text("utf-8"), parse_constant=pytest.fail)
    return found


def test_the_champion_itself_changes_nothing(
    numbers: dict[str, int], rows: list[dict[str, Any]], writer: Any, tmp_path: Path
) -> None:
    """A version with the champion's model and threshold changes no prediction."""
    writer.parquet(writer.journal(rows[: ROWS // 2], model=MODEL, number=numbers["v1.0.0"]))
    writer.journal(rows[ROWS // 2 :], model=MODEL, number=numbers["v1.0.0"])
    found = rehearse(writer, tmp_path, "--model_version", "v1.0.1")
    assert (found["n_instances"], found["n_compared"]) == (ROWS, ROWS)
    assert (found["n_changed"], found["n_refused"], found["share_changed"]) == (0, 0, 0.0)
    shift = found["agreement"]["shift"]
    assert (shift["value"], shift["low"], shift["high"]) == (0.0, 0.0, 0.0)
    assert found["expected_before"] == found["expected_after"]


def test_a_version_beside_itself_is_refused(
    numbers: dict[str, int],
    rows: list[dict[str, Any]],
    writer: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Comparing a version with itself is refused, unless `--answered_by` selects its rows."""
    writer.journal(rows, model=MODEL, number=numbers["v1.0.0"])
    where = ["--inference_store", str(writer.folder)]
    for asked in (["v1.0.0"], ["v1.1.0", "--against", "v1.1.0"]):
        assert rehearsal.main([*asked, *where]) == 1
        told = capsys.readouterr().err
        assert asked[0] in told
        assert "--against" in told
    found = rehearse(writer, tmp_path, "v1.0.0", "--answered_by", "v1.0.0")
    assert (found["n_compared"], found["n_changed"]) == (ROWS, 0)


def test_another_threshold_changes_the_rows_between_the_two(
    numbers: dict[str, int],
    rows: list[dict[str, Any]],
    writer: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exactly the rows between both thresholds change; file, run and output agree."""
    for index, row in enumerate(rows):
        row |= {"entity": f"{index:064x}", "period": 2024}
    writer.journal(rows, model=MODEL, number=numbers["v1.0.0"])
    changes = tmp_path / "lists" / "changes.parquet"
    found = rehearse(
        writer, tmp_path, "--model_version", "v1.1.0", "--output", str(changes), "--by", "wear"
    )
    between = [row for row in rows if 0.3 <= row["score"] < 0.5]
    assert 0 < len(between) == found["n_changed"] == found["agreement"]["n_only_shadow"]
    listed = pq.read_table(changes)
    assert set(listed["entity"].to_pylist()) == {row["entity"] for row in between}
    assert set(listed["label_before"].to_pylist()) == {0}
    assert set(listed["label_after"].to_pylist()) == {1}
    assert {"request_id", "instance", "timestamp", "period", "wear"} <= set(listed.column_names)
    assert stat.S_IMODE(changes.stat().st_mode) & 0o137 == 0
    groups = {one["name"]: one for one in found["groups"]["wear"]}
    for wear in range(5):
        inside = [row for row in between if row["wear"] == wear]
        assert (groups[str(wear)]["gained"], groups[str(wear)]["lost"]) == (len(inside), 0)
    assert f"{len(between)} sinalizadas a mais" in capsys.readouterr().out
    run = mlflow.MlflowClient().get_run(found["mlflow_run_id"])
    assert run.data.tags["job"] == names.JOB_REHEARSAL
    assert run.data.metrics["n_changed"] == len(between)
    (page,) = (tmp_path / "reports").glob("v1.1.0/*.html")
    assert f"{len(between)}" in page.read_text("utf-8")


def test_rows_that_the_candidate_would_refuse_are_counted(
    numbers: dict[str, int], rows: list[dict[str, Any]], writer: Any, tmp_path: Path
) -> None:
    """Rows that the candidate's contract refuses are counted by problem and not compared."""
    writer.journal(rows, model=MODEL, number=numbers["v1.0.0"])
    found = rehearse(writer, tmp_path, "--model_version", "v1.2.0")
    hot = sum(row["temperature"] > 25 for row in rows)
    assert 0 < hot == found["n_refused"] == ROWS - found["n_compared"]
    assert list(found["refusals"].values()) == [hot]
    assert "temperature" in next(iter(found["refusals"]))


def test_after_a_rollback_only_what_was_answered_counts(
    numbers: dict[str, int], rows: list[dict[str, Any]], writer: Any, tmp_path: Path
) -> None:
    """`--answered_by` compares only that version's predictions with the current champion."""
    writer.journal(rows[:100], model=MODEL, number=numbers["v1.0.0"])
    told = [{**row, "label": int(row["score"] >= 0.3)} for row in rows[100:]]
    writer.journal(told, model=MODEL, number=numbers["v1.1.0"])
    changes = tmp_path / "again.csv"
    found = rehearse(writer, tmp_path, "--answered_by", "v1.1.0", "--output", str(changes))
    between = sum(0.3 <= row["score"] < 0.5 for row in rows[100:])
    assert found["n_instances"] == ROWS - 100
    assert 0 < between == found["agreement"]["n_only_answered"] == found["n_changed"]
    assert len(changes.read_text("utf-8").splitlines()) == 1 + between


def test_the_latest_answer_of_an_entity_counts_whichever_version_gave_it(
    numbers: dict[str, int], rows: list[dict[str, Any]], writer: Any, tmp_path: Path
) -> None:
    """An entity with predictions of two versions counts once."""
    named = [{**row, "entity": f"{n:064x}"} for n, row in enumerate(rows[:50])]
    writer.journal(named, model=MODEL, number=numbers["v1.0.0"], age=timedelta(days=2))
    writer.journal(named, model=MODEL, number=numbers["v1.1.0"], age=timedelta(hours=1))
    found = rehearse(writer, tmp_path, "--model_version", "v1.1.0")
    assert (found["n_instances"], found["n_rows"]) == (100, 50)


def test_nothing_captured_is_said(
    numbers: dict[str, int], writer: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty window has no share of changes, and the output states it."""
    writer.folder.mkdir(exist_ok=True)
    found = rehearse(writer, tmp_path, "--model_version", "v1.1.0")
    assert (found["n_rows"], found["share_changed"]) == (0, None)
    assert "não há linha capturada" in capsys.readouterr().out


@needs_spark
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_spark_gives_the_same_numbers(
    numbers: dict[str, int], rows: list[dict[str, Any]], writer: Any, tmp_path: Path
) -> None:
    """Spark gives the local engine's numbers for journals, files, versions and repeats."""
    for index, row in enumerate(rows):
        row["entity"] = f"{index % 90:064x}" if index % 3 else None
    writer.parquet(writer.journal(rows[:150], model=MODEL, number=numbers["v1.0.0"]))
    writer.journal(rows[150:300], model=MODEL, number=numbers["v1.0.0"], age=timedelta(hours=2))
    writer.parquet(writer.journal(rows[300:], model=MODEL, number=numbers["v1.1.0"]))
    found, listed = [], []
    for engine in ("local", "spark"):
        out = tmp_path / engine
        file = out / "changes.parquet"
        options = ["--engine", engine, "--output", str(file), "--by", "wear"]
        found.append(rehearse(writer, out, "--model_version", "v1.1.0", *options))
        keys = [("request_id", "ascending"), ("instance", "ascending")]
        listed.append(pq.read_table(file).sort_by(keys).to_pylist())
    for one in found:
        for name in ("seconds_per_row_before", "seconds_per_row_after", "mlflow_run_id"):
            assert one.pop(name)
        for name in ("mlflow_run_url", "window_start", "window_end"):
            one.pop(name)
    assert found[0]["n_changed"] > 0
    assert found[1] == approximately(found[0])
    assert listed[0] == listed[1]


def approximately(value: Any) -> Any:
    """Return data whose floats compare approximately, since sums differ in order."""
    if isinstance(value, dict):
        return {name: approximately(one) for name, one in value.items()}
    if isinstance(value, list):
        return [approximately(one) for one in value]
    return pytest.approx(value, rel=1e-9, abs=1e-9) if isinstance(value, float) else value


def test_a_group_that_is_no_input_is_refused(
    numbers: dict[str, int], writer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A group that is no input ends with exit code 1 and an error that names it."""
    options = ["v1.1.0", "--by", "school", "--inference_store", str(writer.folder)]
    assert rehearsal.main(options) == 1
    assert "'school'" in capsys.readouterr().err
