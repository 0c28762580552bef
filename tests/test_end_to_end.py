"""The whole system with real processes: train, serve, flip, roll back, capture, monitor.

Requests are sent from before the first flip until after the last one; none may fail.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.pede_version import fit_fewer
from tests.walk import Walk

MODEL = "walk-through"
SOURCE = "pede.xlsx"


class Load(threading.Thread):
    """A client that sends one-row requests until stopped, and records failures and responses."""

    def __init__(self, api: str, rows: list[dict[str, Any]], seed: int) -> None:
        """Prepare to send randomly drawn rows; `start` begins."""
        super().__init__(daemon=True)
        self._api, self._rows = api, rows
        self._rng = np.random.default_rng(seed)
        self._over = threading.Event()
        self.failures: list[str] = []
        self.answered: Counter[str] = Counter()
        self.scores: set[tuple[str, int, float, float]] = set()

    def run(self) -> None:
        """Send until `finish`."""
        with httpx.Client(base_url=self._api, timeout=30) as client:
            while not self._over.is_set():
                index = int(self._rng.integers(len(self._rows)))
                try:
                    answer = client.post("/predict", json={"instances": [self._rows[index]]})
                    body = answer.json()
                    assert answer.status_code == 200, answer.text
                    one = body["predictions"][0]
                    assert one["model_version"] == body["model_version"]
                    assert one["risk_label"] == int(one["risk_score"] >= body["threshold"])
                    release = body["model_version"]
                    self.answered[release] += 1
                    self.scores.add((release, index, body["threshold"], one["risk_score"]))
                except Exception as exc:
                    self.failures.append(repr(exc))
                time.sleep(0.1)

    def finish(self) -> None:
        """Stop and wait."""
        self._over.set()
        self.join(30)


@pytest.fixture
def the(tmp_path: Path, mlflow_server: str) -> Iterator[Walk]:
    """Yield a project copy without a trained version; its proxy is stopped after the test."""
    walk = Walk(tmp_path / "project", mlflow_server, MODEL)
    yield walk
    walk.stop()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_whole_loop(the: Walk) -> None:
    """Train, serve, retrain, promote, roll back: no request fails, no row is lost, drift is RED."""
    # Train the first version as `mlflow run` does, in this environment; the gate promotes it.
    the.here("data.synthetic", "--students", "900", "--seed", "3", "--output", SOURCE)
    told = the.run(
        *("-m", "mlflow", "run", ".", "--env-manager", "local"),
        *("--experiment-name", f"{MODEL}-training", "-P", f"source={SOURCE}"),
    )
    assert "v1.0.0 é a champion" in told
    assert "v1.0.0" in the.here("mlflow_project.registry", "list")

    # Serve it, and send requests from here on.
    the.serve(workers=2)
    the.wait_until_served("v1.0.0")
    metadata = httpx.get(f"{the.api}/metadata").json()
    names = [feature["name"] for feature in metadata["features"]]
    rows = fresh_students(the, names)
    loads = [Load(the.api, rows[600:], seed) for seed in range(2)]
    for load in loads:
        load.start()

    # The served score is the one that training logged for the same student.
    check_served_scores(the, names)

    # Rows of the baseline's distribution, to the first version.
    usual = rows[:600]
    predictions = the.post(usual)
    assert {p["model_version"] for p in predictions} == {"v1.0.0"}

    # A second version, promoted by hand while requests are sent; it receives shifted rows.
    with pytest.MonkeyPatch.context() as patch:
        fit_fewer(patch)
        the.here("mlflow_project.train", "--force")
    the.here("mlflow_project.registry", "promote", "--model_version", "v1.1.0")
    the.wait_until_served("v1.1.0")
    shifted = [{**row, "idade": min((row["idade"] or 12) + 4, 40), "ida": 1.0} for row in usual]
    assert {p["model_version"] for p in the.post(shifted)} == {"v1.1.0"}

    # Roll back.
    the.here("mlflow_project.registry", "rollback", "--reason", "drift vermelho")
    the.wait_until_served("v1.0.0")
    time.sleep(0.5)
    for load in loads:
        load.finish()
    assert [load.failures for load in loads] == [[], []]
    assert set(loads[0].answered) == {"v1.0.0", "v1.1.0"}
    # Each response is of one version only: per release a row has one score and one threshold.
    scores = loads[0].scores | loads[1].scores
    assert len(scores) == len({(release, index) for release, index, _, _ in scores})
    assert len({(release, threshold) for release, _, threshold, _ in scores}) == 2

    # Drift: v1.0.0's rows are unchanged, v1.1.0's are shifted.
    assert drift(the, "v1.0.0")["global_status"] == "GREEN"
    red = drift(the, "v1.1.0")
    assert red["global_status"] == "RED"
    assert red["feature_drift"]["ida"]["status"] == "RED"
    assert red["feature_drift"]["idade"]["status"] in ("YELLOW", "RED")
    assert red["feature_drift"]["por"]["status"] == "GREEN"
    listed = the.here("mlflow_project.registry", "list")
    assert [("RED" in line, "GREEN" in line) for line in listed.splitlines()[2:4]] == [
        (True, False),
        (False, True),
    ]

    # Every served instance is in the store, once, under the version that scored it.
    the.stop()
    answered = sum((load.answered for load in loads), Counter({"v1.0.0": 620, "v1.1.0": 600}))
    files = sorted((the.folder / "monitoring/inference_store").glob("*.parquet"))
    captured: Counter[str] = Counter()
    for file in files:
        releases = pq.read_table(file)["model_version"].to_pylist()
        assert len(set(releases)) == 1
        captured.update(releases)
    assert captured == answered
    assert not list((the.folder / "monitoring/inference_store/journal").glob("*"))
    history = the.here("mlflow_project.registry", "history").splitlines()[2:]
    assert [line.split()[2] for line in history] == ["promote", "promote", "rollback"]


def fresh_students(the: Walk, names: list[str]) -> list[dict[str, Any]]:
    """Return instances of the same distribution that the model was not trained on, shuffled.

    On its own training rows a model is more confident than on others, and a good drift report
    would detect that.
    """
    where = ("--output", "fresh.parquet")
    the.here("data.synthetic", "--students", "2500", "--seed", "4", "--output", "fresh.xlsx")
    the.here("mlflow_project.make_dataset", "--source", "fresh.xlsx", *where)
    pairs = pd.read_parquet(the.folder / "fresh.parquet")
    # The baseline is of the newest period.
    newest = pairs[pairs["reference_year"] == pairs["reference_year"].max()]
    frame = newest[names].sample(frac=1, random_state=0)
    rows: list[dict[str, Any]] = json.loads(frame.to_json(orient="records"))
    return rows


def check_served_scores(the: Walk, names: list[str]) -> None:
    """Assert that students of the dataset get the scores in the training run's table."""
    import mlflow

    from mlflow_project.modelling.rows import row_digests

    mlflow.set_tracking_uri(the.env["MLFLOW_TRACKING_URI"])
    version = mlflow.MlflowClient().get_model_version_by_alias(MODEL, "champion")
    table = f"runs:/{version.run_id}/evaluation/training_rows.parquet"
    logged = pd.read_parquet(mlflow.artifacts.download_artifacts(table)).set_index("row")
    dataset = pd.read_parquet(the.folder / "data/processed/modeling_dataset.parquet")
    students = dataset.sample(20, random_state=0)
    rows: list[dict[str, Any]] = json.loads(
        students[names].to_json(orient="records", double_precision=15)
    )
    found = [prediction["risk_score"] for prediction in the.post(rows)]
    expected = logged.loc[row_digests(students)]["served_score"]
    np.testing.assert_allclose(found, expected.to_numpy(), atol=1e-9)


def drift(the: Walk, release: str) -> dict[str, Any]:
    """Run the drift report of a release; return its numbers."""
    the.here("monitoring.drift_report", "--model_version", release, "--last_n_days", "1")
    (file,) = (the.folder / "monitoring/reports" / release).glob("drift_metrics_*.json")
    numbers: dict[str, Any] = json.loads(file.read_text())
    return numbers
