"""The performance report against a live MLflow server, and the escalation of both reports."""

import csv
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.contract import names
from core.contract.pseudonym import pseudonym
from monitoring import build_baseline, drift_report, performance_report

MODEL = "judged-machine"
KEY = "a key of the tests"
PLANTED = "SN-PLANTED"


@pytest.fixture(scope="module")
def number(mlflow_server: str, register_version: Callable[..., int]) -> int:
    """Register champion v1.0.0, with test recall 0.8 and ROC-AUC 0.9; return its number."""
    import mlflow

    found = register_version(MODEL, "v1.0.0")
    # A rollback needs a `previous` alias.
    mlflow.MlflowClient(mlflow_server).set_registered_model_alias(MODEL, "previous", str(found))
    return found


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set `MODEL_NAME` to this file's model, and a pseudonym key."""
    monkeypatch.setenv("MODEL_NAME", MODEL)
    monkeypatch.setenv("PSEUDONYM_KEY", KEY)


def people(n: int, shift: float = 0.0) -> list[dict[str, Any]]:
    """Return captured rows of `n` entities, one each."""
    rng = np.random.default_rng(n)
    score = rng.random(n)
    return [
        {
            "temperature": float(20 + shift + rng.normal() * 5),
            "pressure": 1000.0,
            "wear": 1.0,
            "score": float(s),
            "label": int(s >= 0.5),
            "entity": pseudonym(f"{PLANTED}-{i}", KEY),
            "period": 2024,
        }
        for i, s in enumerate(score)
    ]


def truth(rows: list[dict[str, Any]], *, inverted: bool = False) -> list[int]:
    """Draw labels that agree closely with the scores, or contradict them if `inverted`."""
    rng = np.random.default_rng(0)
    return [int((row["score"] + rng.normal() * 0.15 > 0.5) != inverted) for row in rows]


@pytest.fixture
def report(
    number: int, writer: Any, tmp_path: Path
) -> Callable[..., tuple[int, dict[str, Any], str]]:
    """Return a function that runs the report and returns exit code, numbers and page."""

    def run(labels: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
        out = tmp_path / "reports"
        code = performance_report.main(
            [
                *("--labels", str(labels), "--model_version", "v1.0.0"),
                *("--inference_store", str(writer.folder), "--output", str(out), *arguments),
            ]
        )
        day = datetime.now().astimezone().strftime("%Y%m%d")
        folder = out / "v1.0.0"
        numbers = (folder / f"performance_metrics_{day}.json").read_text(encoding="utf-8")
        page = (folder / f"performance_report_{day}.html").read_text(encoding="utf-8")
        return code, json.loads(numbers, parse_constant=pytest.fail), page

    return run


def by_serial(path: Path, labels: list[int]) -> Path:
    """Write labels by plain identity, with one duplicate and one contradiction."""
    rows = [(f"{PLANTED}-{i}", label, 2025) for i, label in enumerate(labels)]
    rows += [rows[0], (f"{PLANTED}-1", 1 - labels[1], 2025)]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("serial", "target", "outcome_year"), *rows])
    return path


def last_run(job: str) -> Any:
    """Return the newest run of a job."""
    import mlflow

    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name(f"{MODEL}-monitoring")
    return client.search_runs([experiment.experiment_id], f"tags.job = '{job}'")[0]


def version_tags(number: int) -> dict[str, str]:
    """Return the tags of the version."""
    import mlflow

    return dict(mlflow.MlflowClient().get_model_version(MODEL, str(number)).tags)


def test_a_version_as_good_as_its_test_is_ok(
    report: Callable[..., Any],
    number: int,
    writer: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Labels by identity give counts, coverage and OK in files, run and tag, without identities."""
    rows = people(150)
    writer.parquet(writer.journal(rows[:90], model=MODEL, number=number))
    writer.journal(rows[90:], model=MODEL, number=number)
    labels = by_serial(tmp_path / "labels.csv", truth(rows)[:120])
    capsys.readouterr()
    code, numbers, page = report(labels, "--fail-on", "degraded")
    out = capsys.readouterr().out
    assert code == 0
    assert out.splitlines()[0] == "Status: OK"
    assert numbers["performance_status"] == "OK"
    assert (numbers["n_instances"], numbers["n_entities_labelled"]) == (150, 119)
    assert (numbers["n_labels_duplicate"], numbers["n_labels_conflicting"]) == (1, 1)
    assert numbers["coverage"] == pytest.approx(119 / 150)
    assert numbers["against_test"]["recall"]["test"] == 0.8
    assert numbers["metrics"]["recall"]["low"] < numbers["metrics"]["recall"]["value"]
    assert sum(month["n_rows"] for month in numbers["by_month"]) == 119
    assert len(numbers["calibration"]) == 10
    run = last_run("performance")
    assert run.data.metrics["recall"] == pytest.approx(numbers["metrics"]["recall"]["value"])
    assert run.data.tags["status"] == "OK"
    assert run.info.run_id in page
    assert version_tags(number)[names.TAG_PERFORMANCE_STATUS] == "OK"
    everything = out + page + json.dumps(numbers) + str(run.data.to_dictionary())
    assert PLANTED not in everything
    assert rows[0]["entity"] not in everything


def test_worse_performance_and_red_drift_are_the_third_level(
    report: Callable[..., Any],
    number: int,
    writer: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Contradicting labels are DEGRADED; with RED drift both reports print the rollback."""
    rows = people(120, shift=15.0)
    writer.journal(rows, model=MODEL, number=number)
    labels = tmp_path / "labels.jsonl"
    lines = [
        {"request_id": f"r{i // 10}", "instance": i % 10, "outcome": label, "outcome_year": 2025}
        for i, label in enumerate(truth(rows, inverted=True))
    ]
    labels.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    code, numbers, page = report(labels, "--target", "outcome", "--fail-on", "red")
    assert code == 3
    assert numbers["performance_status"] == "DEGRADED"
    assert numbers["escalation"]["level"] == "L2"
    assert "comprovadamente pior" in page
    assert build_baseline.main([]) == 0
    capsys.readouterr()
    drift = ["--inference_store", str(writer.folder), "--output", str(tmp_path / "drift")]
    assert drift_report.main(drift) == 0
    command = "python -m mlflow_project.registry rollback --reason "
    assert any(line.startswith(command) for line in capsys.readouterr().out.splitlines())
    assert last_run("drift").data.tags["escalation"] == "L3"
    _, numbers, page = report(labels, "--target", "outcome")
    assert numbers["escalation"]["level"] == "L3"
    assert command in page
    assert command in last_run("performance").data.tags["mlflow.note.content"]
    assert last_run("performance").data.tags["escalation"] == "L3"


def test_groups_come_from_the_store_or_the_file(
    report: Callable[..., Any],
    number: int,
    writer: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Groups are an input or a label column, small ones pooled; an identity is refused."""
    rows = people(60)
    for index, row in enumerate(rows):
        row["wear"] = float(index % 2)
    writer.journal(rows, model=MODEL, number=number)
    labels = tmp_path / "labels.csv"
    sites = ["north"] * 40 + ["south"] * 16 + ["east"] * 4
    lines = [
        f"{row['entity']},{target},{site},2025"
        for row, target, site in zip(rows, truth(rows), sites, strict=True)
    ]
    labels.write_text("\n".join(["entity,target,site,outcome_year", *lines]), encoding="utf-8")
    code, numbers, page = report(labels, "--group", "wear", "--group", "site")
    assert code == 0
    groups = {
        column: {part["value"]: part["n_rows"] for part in parts}
        for column, parts in numbers["by_group"].items()
    }
    assert groups == {"wear": {"0": 30, "1": 30}, "site": {"north": 40, "south": 16, "outros": 4}}
    recall = numbers["by_group"]["site"][0]["metrics"]["recall"]
    assert recall["low"] <= recall["value"] <= recall["high"]
    assert "Por site" in page
    assert "east" not in page
    for column, words in (("entity", "não é um grupo"), ("nowhere", "não é entrada da versão")):
        arguments = ["--labels", str(labels), "--group", column]
        assert performance_report.main([*arguments, "--inference_store", str(writer.folder)]) == 1
        assert words in capsys.readouterr().err


def test_labels_of_nobody_are_no_data(
    report: Callable[..., Any], number: int, writer: Any, tmp_path: Path
) -> None:
    """Labels that match no prediction are NO_DATA with exit code 0; an earlier tag is kept."""
    import mlflow

    client = mlflow.MlflowClient()
    tag = names.TAG_PERFORMANCE_STATUS
    labels = by_serial(tmp_path / "labels.csv", [0, 1])
    writer.folder.mkdir()
    client.set_model_version_tag(MODEL, str(number), tag, "DEGRADED")
    code, numbers, page = report(labels, "--fail-on", "degraded", "--last_n_days", "5")
    assert code == 0
    assert numbers["performance_status"] == "NO_DATA"
    assert "Ainda não há veredito" in page
    assert "Confira se PSEUDONYM_KEY" in page
    assert numbers["escalation"]["performance_status"] == "DEGRADED"
    assert version_tags(number)[tag] == "DEGRADED"
    client.delete_model_version_tag(MODEL, str(number), tag)
    report(labels)
    assert version_tags(number)[tag] == "NO_DATA"


def test_every_version_that_answered_the_period_is_judged(
    number: int,
    register_version: Callable[..., int],
    writer: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without `--model_version` every version with predictions for the period gets a report."""
    other = register_version(MODEL, "v1.1.0", alias=None)
    unheard = register_version(MODEL, "v1.2.0", alias=None)
    rows = people(80)
    writer.journal(rows[:40], model=MODEL, number=number)
    writer.parquet(writer.journal(rows[40:], model=MODEL, number=other))
    later = [{**row, "period": 2025} for row in rows]
    writer.journal(later, model=MODEL, number=unheard)
    labels, out = by_serial(tmp_path / "labels.csv", truth(rows)), tmp_path / "reports"
    store = ["--inference_store", str(writer.folder), "--output", str(out)]
    capsys.readouterr()
    assert performance_report.main(["--labels", str(labels), *store]) == 0
    assert {path.name for path in out.iterdir()} == {"v1.0.0", "v1.1.0"}
    for release, n in (("v1.0.0", 39), ("v1.1.0", 40)):
        (file,) = (out / release).glob("performance_metrics_*.json")
        numbers = json.loads(file.read_text(encoding="utf-8"))
        assert (numbers["n_entities_labelled"], numbers["periods"]) == (n, [2024])
    asked = ["--labels", str(labels), "--model_version", "v1.2.0", *store]
    assert performance_report.main(asked) == 0
    told = capsys.readouterr().out
    assert "79 sem predição sobre 2024 na janela" in told
    assert "Os resultados julgam respostas sobre 2024; não julgadas: 80 sobre outro ano." in told
    (file,) = (out / "v1.2.0").glob("performance_metrics_*.json")
    assert json.loads(file.read_text(encoding="utf-8"))["performance_status"] == "NO_DATA"


def test_a_missing_file_is_one_quick_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A missing label file ends with exit code 1 and one line that names it."""
    assert performance_report.main(["--labels", "nowhere.csv"]) == 1
    error = capsys.readouterr().err
    assert "nowhere.csv não existe" in error
    assert error.count("\n") == 1
