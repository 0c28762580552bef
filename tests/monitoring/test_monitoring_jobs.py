"""Baseline and drift report against a live MLflow server and a store in the proxy's format."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from core.contract import names
from core.store.filesystem import Store
from core.store.quarantined import EXIT_QUARANTINED
from monitoring import build_baseline, compact, drift_report, history

MODEL = "monitored-machine"


@dataclass
class Machine:
    """A registered version with its client and scoring function."""

    client: Any
    number: int
    score: Callable[[pa.Table], np.ndarray]

    def tags(self, number: int | None = None) -> dict[str, str]:
        """Return the version's tags."""
        return dict(self.client.get_model_version(MODEL, str(number or self.number)).tags)

    def last_run(self, job: str) -> Any:
        """Return the newest monitoring run of a job."""
        experiment = self.client.get_experiment_by_name(f"{MODEL}-monitoring")
        return self.client.search_runs([experiment.experiment_id], f"tags.job = '{job}'")[0]

    def artifact(self, run_id: str, path: str, folder: Path) -> str:
        """Return an artifact's text."""
        local = self.client.download_artifacts(run_id, path, str(folder))
        return Path(local).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def machine(mlflow_server: str, register_version: Callable[..., int]) -> Machine:
    """Register v1.0.0 as champion; return it with its scoring function."""
    import mlflow

    number = register_version(MODEL, "v1.0.0")
    model = mlflow.pyfunc.load_model(f"models:/{MODEL}/{number}")
    return Machine(
        mlflow.MlflowClient(mlflow_server),
        number,
        lambda rows: np.asarray(model.predict(rows.to_pandas()))[:, 1],
    )


@pytest.fixture(autouse=True)
def model_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set `MODEL_NAME` to this file's model."""
    monkeypatch.setenv("MODEL_NAME", MODEL)


@pytest.fixture
def with_baseline(machine: Machine) -> Machine:
    """Return the machine, with a baseline built from its training reference."""
    if names.TAG_BASELINE_RUN_ID not in machine.tags():
        assert build_baseline.main([]) == 0
    return machine


@pytest.fixture
def report(
    with_baseline: Machine, writer: Any, tmp_path: Path
) -> Callable[..., tuple[int, dict[str, Any], str]]:
    """Return a function that runs the drift report and returns exit code, numbers and page."""

    def run(*arguments: str) -> tuple[int, dict[str, Any], str]:
        out = tmp_path / "reports"
        code = drift_report.main(
            ["--inference_store", str(writer.folder), "--output", str(out), *arguments]
        )
        day = datetime.now().astimezone().strftime("%Y%m%d")
        numbers = (out / "v1.0.0" / f"drift_metrics_{day}.json").read_text(encoding="utf-8")
        page = (out / "v1.0.0" / f"drift_report_{day}.html").read_text(encoding="utf-8")
        return code, json.loads(numbers, parse_constant=pytest.fail), page

    return run


def test_a_version_without_a_baseline_is_told_how_to_get_one(
    machine: Machine, register_version: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """A version without a baseline gives one line with the command that builds it."""
    register_version(MODEL, "v0.9.0", alias=None)
    capsys.readouterr()
    assert drift_report.main(["--model_version", "v0.9.0"]) == 1
    error = capsys.readouterr().err
    assert "python -m monitoring.build_baseline --model_version v0.9.0" in error
    assert error.count("\n") == 1


def test_baseline_of_the_training_reference(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By default the baseline is built from the version's reference; a tag names its run."""
    assert build_baseline.main(["--model_version", "v1.0.0"]) == 0
    run_id = machine.tags()[names.TAG_BASELINE_RUN_ID]
    data = json.loads(machine.artifact(run_id, names.ARTIFACT_BASELINE, tmp_path))
    assert data["n_rows"] == 400
    assert data["scored_by"] == {"reference": 400}
    assert (data["model_version"], data["registry_version"]) == ("v1.0.0", machine.number)
    assert [f["name"] for f in data["features"]] == ["temperature", "pressure", "wear"]
    run = machine.client.get_run(run_id)
    assert run.info.run_name == "baseline v1.0.0"
    assert run.info.status == "FINISHED"
    assert run.data.tags["job"] == "baseline"
    assert "400 linhas" in capsys.readouterr().out


def test_baseline_of_a_file_scores_only_unseen_rows_itself(
    machine: Machine, tmp_path: Path
) -> None:
    """Rows of the training reference keep their scores; the model scores only new rows."""
    version = machine.client.get_model_version(MODEL, str(machine.number))
    local = machine.client.download_artifacts(version.run_id, names.ARTIFACT_REFERENCE)
    known = pq.read_table(local).slice(0, 100)
    new = {"temperature": [21.0, 22.0], "pressure": [None, 1001.0], "wear": [2, 3]}
    source = tmp_path / "dataset.parquet"
    columns = {
        name: [*known[name].to_pylist(), *new[name]] for name in ("wear", "temperature", "pressure")
    }
    table = pa.table({**columns, "year": [2023] * 102, "target": [0] * 102})
    pq.write_table(table, source)
    assert build_baseline.main(["--source", str(source)]) == 0
    run = machine.last_run("baseline")
    data = json.loads(machine.artifact(run.info.run_id, names.ARTIFACT_BASELINE, tmp_path))
    assert data["scored_by"] == {"reference": 100, "model": 2}
    fresh = machine.score(pa.table(new).cast(pa.schema([(n, pa.float64()) for n in new])))
    mean = np.mean([*known["score"].to_pylist(), *fresh])
    assert data["score"]["mean"] == pytest.approx(mean)
    assert "year" not in [feature["name"] for feature in data["features"]]


def test_baseline_of_captures(
    machine: Machine, writer: Any, machine_rows: Callable[..., Any], tmp_path: Path
) -> None:
    """A baseline of captures has their features and scores."""
    rows = machine_rows(1, 60, machine.score)
    writer.journal(rows, model=MODEL, number=machine.number)
    arguments = ["--last_n_days", "30", "--inference_store", str(writer.folder)]
    assert build_baseline.main(arguments) == 0
    run = machine.last_run("baseline")
    data = json.loads(machine.artifact(run.info.run_id, names.ARTIFACT_BASELINE, tmp_path))
    assert data["scored_by"] == {"capture": 60}
    assert data["score"]["mean"] == pytest.approx(np.mean([row["score"] for row in rows]))
    # Restore the baseline that the following tests compare with.
    assert build_baseline.main([]) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--source", "nowhere.parquet"], "não existe"),
        (["--source", __file__], "não é um Parquet"),
        (["--model_version", "v9.9.9"], "v1.0.0"),
        (["--last_n_days", "3", "--inference_store", "nowhere"], "nowhere não existe"),
        (["--last_n_days", "3", "--inference_store", "tests"], "não respondeu nada"),
    ],
)
def test_baseline_errors_are_one_line(
    machine: Machine, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong argument ends with one line that states the problem, and exit code 1."""
    assert build_baseline.main(arguments) == 1
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_source_without_a_feature_is_refused(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A source that lacks features is refused, and the error names them."""
    pq.write_table(pa.table({"wear": [1.0]}), tmp_path / "thin.parquet")
    assert build_baseline.main(["--source", str(tmp_path / "thin.parquet")]) == 1
    assert "temperature, pressure" in capsys.readouterr().err


def test_green_on_the_same_distribution(
    report: Callable[..., Any],
    with_baseline: Machine,
    writer: Any,
    machine_rows: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Parquet and journal rows are counted together; equal distributions are GREEN."""
    options = {"model": MODEL, "number": with_baseline.number}
    rows = machine_rows(5, 200, with_baseline.score)
    writer.parquet(writer.journal(rows[:120], **options))
    writer.journal(rows[120:], **options)
    capsys.readouterr()
    code, numbers, page = report("--model_version", "v1.0.0", "--last_n_days", "7")
    out = capsys.readouterr().out.splitlines()
    assert code == 0
    assert out[0] == "Status: GREEN"
    assert any(re.search(r"v1\.0\.0/drift_report_\d{8}\.html$", line) for line in out)
    assert numbers["global_status"] == "GREEN"
    assert (numbers["n_instances"], numbers["n_requests"]) == (200, 20)
    assert with_baseline.tags()[names.TAG_DRIFT_STATUS] == "GREEN"
    assert "Verde" in page


def test_the_numbers_have_the_promised_keys(
    report: Callable[..., Any],
    with_baseline: Machine,
    writer: Any,
    machine_rows: Callable[..., Any],
) -> None:
    """The JSON has at least the documented keys."""
    rows = machine_rows(6, 40, with_baseline.score)
    writer.journal(rows, model=MODEL, number=with_baseline.number)
    _, numbers, _ = report()
    assert numbers.keys() >= {
        *("model_version", "baseline_created_at", "window_start", "window_end", "n_requests"),
        *("n_instances", "global_status", "feature_drift", "score_drift", "summary"),
        *("thresholds_used", "n_entities", "escalation", "expected_performance"),
    }
    assert 0 < numbers["expected_performance"]["positive_rate"]["value"] < 1
    assert numbers["feature_drift"]["pressure"].keys() >= {
        *("psi", "baseline_missing_rate", "current_missing_rate", "missing_delta"),
        *("status", "type"),
    }
    assert numbers["score_drift"].keys() >= {
        *("psi", "baseline_mean", "current_mean", "delta_mean", "status"),
    }
    assert numbers["summary"].keys() >= {"n_features", "n_red", "n_yellow", "n_green"}
    assert numbers["thresholds_used"]["psi_alert"] == 0.25


def test_red_on_a_shifted_distribution(
    report: Callable[..., Any],
    with_baseline: Machine,
    writer: Any,
    machine_rows: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """A shift of two standard deviations is RED for that feature, in files, run and tags."""
    rows = machine_rows(7, 150, with_baseline.score, 10.0)
    writer.journal(rows, model=MODEL, number=with_baseline.number)
    code, numbers, page = report()
    assert code == 0
    assert numbers["global_status"] == "RED"
    assert numbers["feature_drift"]["temperature"]["status"] == "RED"
    assert numbers["feature_drift"]["wear"]["status"] == "GREEN"
    run = with_baseline.last_run("drift")
    assert run.info.run_name == "drift v1.0.0 7d"
    assert run.data.tags["status"] == "RED"
    assert run.data.metrics["psi.temperature"] == pytest.approx(
        numbers["feature_drift"]["temperature"]["psi"]
    )
    assert run.data.metrics.keys() >= {"psi_score", "missing_delta.pressure", "n_instances"}
    stored = {a.path for a in with_baseline.client.list_artifacts(run.info.run_id, "drift")}
    assert {Path(path).suffix for path in stored} == {".html", ".json"}
    html = next(path for path in stored if path.endswith("html"))
    assert with_baseline.artifact(run.info.run_id, html, tmp_path) == page
    assert run.info.run_id in page
    assert f"#/models/{MODEL}/versions/{with_baseline.number}" in page
    assert with_baseline.tags()[names.TAG_DRIFT_STATUS] == "RED"


def test_a_window_is_compared_with_the_one_before(
    with_baseline: Machine,
    writer: Any,
    machine_rows: Callable[..., list[dict[str, Any]]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With `previous-window` the days before are the reference, and the version's tag is kept."""
    before = with_baseline.tags().get(names.TAG_DRIFT_STATUS)
    for age, shift in ((timedelta(days=9), 0.0), (timedelta(days=1), 12.0)):
        rows = machine_rows(5, 300, with_baseline.score, shift)
        writer.journal(rows, model=MODEL, number=with_baseline.number, age=age)
    out = tmp_path / "reports"
    options = ["--inference_store", str(writer.folder), "--output", str(out), "--by", "wear"]
    capsys.readouterr()
    assert drift_report.main([*options, "--against", "previous-window"]) == 0
    (file,) = out.glob("v1.0.0/drift_windows_metrics_*.json")
    found = json.loads(file.read_text("utf-8"), parse_constant=pytest.fail)
    assert found["global_status"] == "RED"
    assert found["feature_drift"]["temperature"]["status"] == "RED"
    assert found["feature_drift"]["wear"]["status"] == "GREEN"
    assert {one["status"] for one in found["slices"]["wear"]} == {"RED"}
    assert with_baseline.tags().get(names.TAG_DRIFT_STATUS) == before
    assert with_baseline.last_run("drift_windows").data.tags["status"] == "RED"
    told = capsys.readouterr().out
    assert "wear 0: RED" in told
    assert "comparadas com a janela anterior" in told and "com a baseline" not in told
    (page,) = out.glob("v1.0.0/drift_windows_report_*.html")
    assert "os 7 dias antes da janela" in page.read_text("utf-8")


def test_a_window_without_one_before_is_an_error(
    with_baseline: Machine, writer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without rows in the previous window the command ends with exit code 1."""
    writer.folder.mkdir(exist_ok=True)
    store = ["--inference_store", str(writer.folder)]
    assert drift_report.main([*store, "--against", "previous-window"]) == 1
    assert "v1.0.0" in capsys.readouterr().err


def test_slices_are_compared_with_the_training_reference(
    with_baseline: Machine,
    writer: Any,
    machine_rows: Callable[..., list[dict[str, Any]]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`--by` gives a status per value; the history exports each report's metrics as rows."""
    rows = machine_rows(6, 400, with_baseline.score)
    for row in rows:
        row["temperature"] += 15.0 * (row["wear"] == 3.0)
    writer.journal(rows, model=MODEL, number=with_baseline.number)
    out = tmp_path / "reports"
    options = ["--inference_store", str(writer.folder), "--output", str(out)]
    assert drift_report.main([*options, "--by", "wear"]) == 0
    (file,) = out.glob("v1.0.0/drift_metrics_*.json")
    found = json.loads(file.read_text("utf-8"), parse_constant=pytest.fail)
    slices = {one["value"]: one for one in found["slices"]["wear"]}
    assert slices["3"]["status"] == "RED"
    assert slices["3"]["drifted"][0] == "temperature"
    assert {slices[name]["status"] for name in "0124"} == {"GREEN"}
    assert drift_report.main([*options, "--by", "school"]) == 1
    assert "school" in capsys.readouterr().err

    table = tmp_path / "history.parquet"
    assert history.main(["--output", str(table)]) == 0
    kept = pq.read_table(table)
    assert kept.schema.equals(history.SCHEMA)
    of_run = kept.filter(pc.equal(kept["run_id"], found["mlflow_run_id"]))
    values = dict(zip(of_run["metric"].to_pylist(), of_run["value"].to_pylist(), strict=True))
    assert values["psi.temperature"] == pytest.approx(found["feature_drift"]["temperature"]["psi"])
    assert values["n_instances"] == 400
    assert set(of_run["status"].to_pylist()) == {found["global_status"]}
    assert {"drift", "baseline"} <= set(kept["job"].to_pylist())
    assert history.main(["--output", str(tmp_path / "history.csv")]) == 0
    assert history.main(["--output", str(tmp_path / "history.txt")]) == 1


def test_exit_codes_for_schedulers(
    report: Callable[..., Any],
    with_baseline: Machine,
    writer: Any,
    machine_rows: Callable[..., Any],
) -> None:
    """With `--fail-on` red or yellow, RED ends with exit code 3."""
    rows = machine_rows(7, 150, with_baseline.score, 10.0)
    writer.journal(rows, model=MODEL, number=with_baseline.number)
    assert report("--fail-on", "red")[0] == 3
    assert report("--fail-on", "yellow")[0] == 3


def test_no_data_is_said_plainly_and_takes_back_no_verdict(
    report: Callable[..., Any],
    with_baseline: Machine,
    writer: Any,
    machine_rows: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An empty window after RED is NO_DATA in files and run; the version's tag stays RED."""
    rows = machine_rows(8, 150, with_baseline.score, 10.0)
    writer.journal(rows, model=MODEL, number=with_baseline.number, age=timedelta(days=5))
    assert report()[1]["global_status"] == "RED"
    capsys.readouterr()
    code, numbers, page = report("--last_n_days", "1", "--fail-on", "yellow")
    out = capsys.readouterr().out
    assert code == 0
    assert "Status: NO_DATA" in out.splitlines()
    assert "Continua valendo o veredito de um relatório anterior: Vermelho." in out
    assert (numbers["global_status"], numbers["standing_status"]) == ("NO_DATA", "RED")
    assert numbers["n_instances"] == 0
    assert "Nenhuma predição" in page
    assert with_baseline.last_run("drift").data.tags["status"] == "NO_DATA"
    assert with_baseline.last_run("drift").data.tags["escalation"] == "L2"
    tags = with_baseline.tags()
    assert (tags[names.TAG_DRIFT_STATUS], tags[names.TAG_DRIFT_LAST_LOOK]) == ("RED", "NO_DATA")
    assert report("--last_n_days", "1", "--fail-on", "no_data")[0] == 3
    assert report("--last_n_days", "1", "--fail-on", "red", "--fail-on", "inconclusive")[0] == 3


def test_too_few_rows_are_inconclusive(
    report: Callable[..., Any],
    with_baseline: Machine,
    writer: Any,
    machine_rows: Callable[..., Any],
) -> None:
    """One row is INCONCLUSIVE and gives no expected performance."""
    rows = machine_rows(9, 1, with_baseline.score)
    writer.journal(rows, model=MODEL, number=with_baseline.number)
    code, numbers, page = report("--fail-on", "no_data")
    assert (code, numbers["global_status"], numbers["n_needed"]) == (0, "INCONCLUSIVE", 30)
    assert numbers["expected_performance"] is None
    assert "são precisas ao menos 30" in page
    assert with_baseline.tags()[names.TAG_DRIFT_LAST_LOOK] == "INCONCLUSIVE"
    assert with_baseline.tags()[names.TAG_DRIFT_STATUS] in ("GREEN", "YELLOW", "RED")
    assert report("--fail-on", "inconclusive")[0] == 3


def test_a_store_that_does_not_exist_is_an_error(
    with_baseline: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing store is an error, not NO_DATA: exit code 1, and no tag changes."""
    before = with_baseline.tags()
    capsys.readouterr()
    assert drift_report.main(["--inference_store", str(tmp_path / "nowhere")]) == 1
    error = capsys.readouterr().err
    assert "nowhere não existe; confira --inference_store" in error
    assert error.count("\n") == 1
    assert with_baseline.tags() == before


def test_a_bucket_is_reported_like_a_folder(
    report: Callable[..., Any],
    with_baseline: Machine,
    writer: Any,
    machine_rows: Callable[..., Any],
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A bucket with local journals gives the folder's numbers, before and after compaction."""
    options = {"model": MODEL, "number": with_baseline.number}
    for seed in (7, 8):
        rows = machine_rows(seed, 60, with_baseline.score)
        writer.parquet(writer.journal(rows, age=timedelta(days=2), **options))
    writer.journal(machine_rows(9, 30, with_baseline.score), **options)
    _, expected, _ = report()
    monkeypatch.chdir(tmp_path)
    store = Store(bucket)
    store.journals.parent.mkdir(parents=True)
    (writer.folder / "journal").rename(store.journals)
    for path in writer.folder.glob("*.parquet"):
        with store.new_file(path.stem) as file:
            file.write(path.read_bytes())
    for keep_minutes in ("60", "0"):
        _, found, _ = report("--inference_store", bucket)
        assert found["n_instances"] == expected["n_instances"] == 150
        for name, column in expected["feature_drift"].items():
            assert found["feature_drift"][name]["psi"] == pytest.approx(column["psi"])
        assert compact.main(["--inference_store", bucket, "--keep_minutes", keep_minutes]) == 0
    assert len(store.files()) == 1
    capsys.readouterr()
    assert drift_report.main(["--inference_store", "s3://no-such-bucket-here"]) == 1
    assert "NO_SUCH_BUCKET" in (error := capsys.readouterr().err)
    assert error.count("\n") == 1


@pytest.mark.parametrize("address", ["s3://", "s3://key:secret@bucket/x", "gs://b/x", "s3://b?x=1"])
def test_an_address_that_is_no_store_is_refused(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An invalid store address ends with exit code 2; the error does not repeat it."""
    with pytest.raises(SystemExit) as ended:
        drift_report.main(["--inference_store", address])
    assert ended.value.code == 2
    assert "s3://bucket/prefixo" in (error := capsys.readouterr().err)
    assert "secret" not in error


def test_a_damaged_file_is_left_out_and_said_everywhere(
    report: Callable[..., tuple[int, dict[str, Any], str]],
    writer: Any,
    machine_rows: Any,
    machine: Machine,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A damaged file is skipped and reported in output, page, JSON and run of every report."""
    options = {"model": MODEL, "number": machine.number}
    writer.parquet(writer.journal(machine_rows(3, 300, machine.score), **options))
    damaged = writer.parquet(writer.journal(machine_rows(4, 200, machine.score), **options))
    damaged.write_bytes(damaged.read_bytes()[:-100])
    for _ in range(2):
        code, numbers, page = report()
        assert code == EXIT_QUARANTINED
        assert numbers["n_instances"] == 300
        line = f"{damaged.name} não pode ser lido"
        assert line in capsys.readouterr().out
        assert line in page
        assert line in numbers["missing"][0]
        assert machine.last_run("drift").data.metrics["files_unread"] == 1
    assert (writer.folder / "quarantine" / damaged.name).exists()


def test_a_damaged_file_of_the_window_before_is_said_once(
    with_baseline: Machine, writer: Any, machine_rows: Any, tmp_path: Path
) -> None:
    """A damaged file of the reference window is reported once, under that window."""
    options = {"model": MODEL, "number": with_baseline.number}
    # A file eight days old could belong to either window by its name.
    for seed, age in ((3, 9), (4, 8), (5, 1)):
        rows = machine_rows(seed, 200, with_baseline.score)
        path = writer.parquet(writer.journal(rows, age=timedelta(days=age), **options))
        if seed == 4:
            path.write_bytes(path.read_bytes()[:-100])
            damaged = path.name
    out = tmp_path / "reports"
    where = ["--inference_store", str(writer.folder), "--output", str(out)]
    assert drift_report.main([*where, "--against", "previous-window"]) == EXIT_QUARANTINED
    (file,) = out.glob("v1.0.0/drift_windows_metrics_*.json")
    found = json.loads(file.read_text("utf-8"))
    assert [damaged in line for line in found["missing"]] == [True, False]
    assert with_baseline.last_run("drift_windows").data.metrics["files_unread"] == 1


def test_another_versions_answers_are_not_compared(
    report: Callable[..., Any],
    with_baseline: Machine,
    writer: Any,
    machine_rows: Callable[..., Any],
) -> None:
    """Shifted rows that another version answered do not affect this version's report."""
    other = machine_rows(7, 150, with_baseline.score, 10.0)
    writer.journal(other, model=MODEL, number=with_baseline.number + 100)
    writer.journal(
        machine_rows(8, 80, with_baseline.score), model=MODEL, number=with_baseline.number
    )
    _, numbers, _ = report()
    assert numbers["n_instances"] == 80
    assert numbers["global_status"] == "GREEN"


def test_a_project_run_around_the_job_stays_apart(
    report: Callable[..., Any],
    with_baseline: Machine,
    writer: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Under `mlflow run` the job logs a separate run in the monitoring experiment."""
    outer = with_baseline.client.create_run("0")
    monkeypatch.setenv("MLFLOW_RUN_ID", outer.info.run_id)
    writer.folder.mkdir()
    report()
    assert with_baseline.last_run("drift").info.run_id != outer.info.run_id
    assert with_baseline.client.get_run(outer.info.run_id).data.metrics == {}


@pytest.mark.parametrize("module", ["monitoring.build_baseline", "monitoring.drift_report"])
def test_argument_errors_are_quick(module: str) -> None:
    """Wrong arguments and `--help` end before MLflow, which takes seconds, is imported."""
    code = f"""
import sys
from {module} import main
for arguments in (["--model_version", "1.0"], ["--last_n_days", "0"], ["--help"]):
    try:
        main(arguments)
    except SystemExit as ended:
        print(ended.code or 0)
print("mlflow" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert re.findall(r"^(?:\d+|True|False)$", done.stdout, re.MULTILINE) == [
        "2",
        "2",
        "0",
        "False",
    ]


def test_an_unreachable_server_is_one_quick_line(free_port: Callable[[], int]) -> None:
    """An unreachable tracking URI ends with exit code 1 and one line that names it."""
    uri = f"http://127.0.0.1:{free_port()}"
    done = subprocess.run(
        [sys.executable, "-m", "monitoring.drift_report"],
        env={**os.environ, "MLFLOW_TRACKING_URI": uri},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 1
    assert uri in done.stderr
    assert done.stderr.count("\n") == 1


def test_no_champion_lists_what_there_is(
    mlflow_server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unregistered model ends with exit code 1 and an error that names it."""
    monkeypatch.setenv("MODEL_NAME", "never-registered")
    assert drift_report.main([]) == 1
    assert "never-registered não existe" in capsys.readouterr().err
