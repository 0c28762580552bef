"""Drills of the runbook's symptoms: what the operator sees, and what helps (§1, §3, §9)."""

import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live import clean_environment, copy_project, find_free_port, stop, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
MODEL = "risco-ensaio"
FRESH = "data/processed/ensaio.parquet"


class Rehearsal:
    """A system for drills: a trained champion, a proxy, and rows that are not training data."""

    def __init__(self, folder: Path, mlflow: str) -> None:
        """Copy the project."""
        copy_project(folder)
        self.folder, self.port = folder, find_free_port()
        self.api = f"http://127.0.0.1:{self.port}"
        self.env = {
            **clean_environment(),
            "MLFLOW_TRACKING_URI": mlflow,
            "MODEL_NAME": MODEL,
            "POLL_SECONDS": "0.2",
            "CAPTURE_FLUSH_SECONDS": "0.5",
        }
        self.processes: list[subprocess.Popen[bytes]] = []

    def run(self, *words: str, code: int = 0) -> str:
        """Run a Python command of the project; return what it printed."""
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == code, done.stdout[-3000:]
        return done.stdout

    def shell(self, command: str) -> str:
        """Run a command line of the runbook; return its output."""
        done = subprocess.run(
            ["bash", "-e", "-c", command.replace(":8000", f":{self.port}")],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def serve(self, port: int, **environ: str) -> subprocess.Popen[bytes]:
        """Start a proxy; wait until it is live."""
        process = subprocess.Popen(
            [sys.executable, "-m", "serving", "--port", str(port)],
            cwd=self.folder,
            env={**self.env, **environ},
            start_new_session=True,
        )
        self.processes.append(process)
        wait_for(f"http://127.0.0.1:{port}/health", 90, process)
        return process

    def drill(self, name: str, *more: str) -> str:
        """Run a drill against the proxy."""
        rows = [] if name == "erros" else ["--rows", FRESH]
        return self.run("-m", "scripts.drill", name, "--url", self.api, *rows, *more)

    def report(self, release: str) -> tuple[str, dict[str, Any]]:
        """Run the drift report; return its output and its numbers."""
        time.sleep(1.5)  # Until captured rows are flushed to the store.
        told = self.run("-m", "monitoring.drift_report", "--model_version", release)
        (path,) = (self.folder / "monitoring/reports" / release).glob("drift_metrics_*.json")
        return told, json.loads(path.read_text())

    def forget_answers(self) -> None:
        """Empty the store, so that each drill is reported alone."""
        time.sleep(1.5)
        for path in (self.folder / "monitoring/inference_store").glob("*.parquet"):
            path.unlink()

    def metadata(self) -> dict[str, Any]:
        """Return the response of `/metadata`."""
        found: dict[str, Any] = httpx.get(f"{self.api}/metadata", timeout=20).json()
        return found

    def log(self) -> list[dict[str, Any]]:
        """Return the parsed lines of the log."""
        text = (self.folder / "logs/app.log").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory, mlflow_server: str) -> Iterator[Rehearsal]:
    """Yield a system with a trained, promoted, served model and rows that it never saw."""
    the = Rehearsal(tmp_path_factory.mktemp("drills") / "project", mlflow_server)
    book = "data/raw/pede.xlsx"
    the.run("-m", "data.synthetic", "--students", "900", "--seed", "3", "--output", book)
    assert "v1.0.0 é a champion" in the.run("-m", "mlflow_project.retrain", "--source", book)
    fresh = "data/raw/ensaio.xlsx"
    the.run("-m", "data.synthetic", "--students", "2500", "--seed", "4", "--output", fresh)
    the.run("-m", "mlflow_project.make_dataset", "--source", fresh, "--output", FRESH)
    the.serve(the.port)
    wait_for(f"{the.api}/ready", 90)
    yield the
    for process in the.processes:
        stop(process)


def test_red_drift_is_seen_escalated_and_can_be_accepted(rehearsal: Rehearsal) -> None:
    """A stuck source is RED with the feature and level L2; mitigations work (§3.1, §3.2).

    The API still answers without the broken feature; a baseline of the new weeks, if the operator
    accepts them as the new normal, makes the same rows GREEN.
    """
    rehearsal.forget_answers()
    assert "× 200" in rehearsal.drill("vermelho", "--feature", "ida")
    told, numbers = rehearsal.report("v1.0.0")
    assert "Status: RED" in told
    assert re.search(r"RED +ida: PSI", told)
    assert "L2" in told
    assert numbers["feature_drift"]["ida"]["status"] == "RED"
    assert numbers["feature_drift"]["por"]["status"] == "GREEN"
    assert "RED" in rehearsal.run("-m", "mlflow_project.registry", "list")
    failing = ("-m", "monitoring.drift_report", "--model_version", "v1.0.0", "--fail-on", "red")
    rehearsal.run(*failing, code=3)
    answer = httpx.post(f"{rehearsal.api}/predict", json={"instances": [{"fase": 3, "idade": 15}]})
    assert answer.status_code == 200, "without the feature, and without others"
    build = ("-m", "monitoring.build_baseline", "--model_version", "v1.0.0")
    rehearsal.run(*build, "--last_n_days", "1")
    assert "Status: GREEN" in rehearsal.report("v1.0.0")[0]
    rehearsal.run(*build)


def test_yellow_drift_is_a_warning_of_level_one(rehearsal: Rehearsal) -> None:
    """A slightly higher missing rate of a feature is YELLOW, level L1, with exit code 0."""
    rehearsal.forget_answers()
    rehearsal.drill("amarelo", "--feature", "iaa")
    told, numbers = rehearsal.report("v1.0.0")
    assert "Status: YELLOW" in told, told
    assert re.search(r"YELLOW +iaa: .*ausentes ", told)
    assert numbers["escalation"]["level"] == "L1"
    assert 0.05 <= numbers["feature_drift"]["iaa"]["missing_delta"] < 0.10


def test_rows_like_the_baseline_are_green(rehearsal: Rehearsal) -> None:
    """The drill without a fault is reported GREEN."""
    rehearsal.forget_answers()
    rehearsal.drill("normal")
    assert "Status: GREEN" in rehearsal.report("v1.0.0")[0]


def test_many_4xx_are_in_log_and_metrics_and_say_what_to_send(rehearsal: Rehearsal) -> None:
    """422 responses are in log and metrics; their body, not the log, names the accepted fields."""
    told = rehearsal.drill("erros")
    assert "60 × 422" in told
    counted = rehearsal.shell(
        "jq -r 'select(.status_code != null) | .status_code' logs/app.log | sort | uniq -c"
    )
    assert int(re.search(r"(\d+) 422", counted)[1]) >= 60  # type: ignore[index]
    refused = [line for line in rehearsal.log() if line.get("status_code") == 422]
    assert {line["level"] for line in refused} == {"WARNING"}
    assert "validation_failed" in refused[-1]["message"]
    assert "campo_inexistente" not in str(refused)
    metrics = httpx.get(f"{rehearsal.api}/metrics").text
    assert re.search(r'http_requests_total\{[^}]*status="422"[^}]*\} [6-9]\d', metrics)
    answer = httpx.post(f"{rehearsal.api}/predict", json={"instances": [{"campo_inexistente": 1}]})
    assert "campo_inexistente" in answer.text
    assert "campos aceitos" in answer.text


def test_5xx_without_a_model_are_seen_and_end_when_there_is_one(rehearsal: Rehearsal) -> None:
    """A proxy whose alias is not set answers 503, with the reason in /health, until it is set."""
    port = find_free_port()
    url = f"http://127.0.0.1:{port}"
    own = rehearsal.folder / "other"
    rehearsal.serve(
        port,
        MODEL_ALIAS="ensaio",
        MODEL_CACHE=str(own / "cache"),
        INFERENCE_STORE=str(own / "store"),
        LOG_FILE=str(own / "app.log"),
    )
    instance = {"instances": [{"fase": 3}]}
    assert Counter(httpx.post(f"{url}/predict", json=instance).status_code for _ in range(5)) == {
        503: 5
    }
    health = httpx.get(f"{url}/health").json()
    assert health["status"] == "degraded"
    assert any("ensaio" in reason for reason in health["reasons"])
    assert '"status_code": 503' in (own / "app.log").read_text()
    import mlflow

    mlflow.MlflowClient(rehearsal.env["MLFLOW_TRACKING_URI"]).set_registered_model_alias(
        MODEL, "ensaio", "1"
    )
    deadline = time.monotonic() + 30
    while httpx.post(f"{url}/predict", json=instance).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_high_latency_shows_large_requests_and_smaller_ones_are_fast(rehearsal: Rehearsal) -> None:
    """The slowest log lines have 1,000 instances; the median of usual requests is below 500 ms."""
    assert "48 × 200" in rehearsal.drill("latencia")
    slow = rehearsal.shell(
        "jq -r 'select(.latency_ms != null) | [.latency_ms, .n_instances, .path] | @tsv'"
        " logs/app.log | sort -rn | head -5"
    )
    for line in slow.splitlines():
        milliseconds, instances, path = line.split("\t")
        assert float(milliseconds) > 500
        assert (instances, path) == ("1000", "/predict")
    before = len(rehearsal.log())
    rehearsal.drill("normal")
    latencies = [line["latency_ms"] for line in rehearsal.log()[before:] if line.get("n_instances")]
    assert sorted(latencies)[len(latencies) // 2] < 500


def test_a_threshold_changes_the_next_answers_without_a_restart(rehearsal: Rehearsal) -> None:
    """§3.3: a new threshold tag is served within 10 s, and its reason is in the history."""
    words = ("threshold", "--model_version", "v1.0.0", "--value", "0.9", "--reason", "ensaio")
    rehearsal.run("-m", "mlflow_project.registry", *words)
    deadline = time.monotonic() + 10
    while rehearsal.metadata()["threshold"] != 0.9:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert rehearsal.metadata()["threshold_source"] == "tag"
    assert "ensaio" in rehearsal.run("-m", "mlflow_project.registry", "history")


def test_a_retrain_is_served_and_rolled_back(rehearsal: Rehearsal) -> None:
    """§3.5, then §3.4: a retrained version is served with its own baseline, then rolled back."""
    book = "data/raw/pede.xlsx"
    told = rehearsal.run("-m", "mlflow_project.retrain", "--source", book, "--force")
    assert (rehearsal.folder / "artifacts/model_report_v1.1.0.md").exists()
    # By the output of retrain: the proxy may not have loaded the version yet.
    if "v1.1.0 é a champion" not in told:
        promote = ("promote", "--model_version", "v1.1.0", "--force", "--reason", "ensaio")
        rehearsal.run("-m", "mlflow_project.registry", *promote)
    wait_until_served(rehearsal, "v1.1.0")
    rehearsal.forget_answers()
    rehearsal.drill("normal")
    assert "NO_DATA" not in rehearsal.report("v1.1.0")[0]
    rehearsal.run("-m", "mlflow_project.registry", "rollback", "--reason", "ensaio")
    wait_until_served(rehearsal, "v1.0.0")


def wait_until_served(rehearsal: Rehearsal, release: str) -> None:
    """Wait until the proxy serves this release, at most 20 s."""
    deadline = time.monotonic() + 20
    while rehearsal.metadata()["model_version"] != release:
        assert time.monotonic() < deadline
        time.sleep(0.2)
