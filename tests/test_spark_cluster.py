"""A real standalone Spark cluster: a master and a worker without this project's code."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from core.store.filesystem import Store
from tests.live import ROOT, clean_environment, eventually, find_free_port, run_here, stop

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not (find_spec("pyspark") and shutil.which("java")), reason="no pyspark or no Java"
    ),
]
MASTER = "org.apache.spark.deploy.master.Master"
WORKER = "org.apache.spark.deploy.worker.Worker"


def daemon(folder: Path, kind: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a process of Spark in which nothing of this project can be imported."""
    pyspark = find_spec("pyspark")
    assert pyspark is not None and pyspark.submodule_search_locations
    home = Path(pyspark.submodule_search_locations[0])
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "JAVA_HOME") if name in os.environ}
    environ = {
        **kept,
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_WORKER_DIR": str(folder / "work"),
    }
    command = [str(home / "bin" / "spark-class"), kind, "--host", "127.0.0.1", *arguments]
    with (folder / f"{kind}.log").open("wb") as log:
        return subprocess.Popen(
            command, cwd=folder, env=environ, stdout=log, stderr=log, start_new_session=True
        )


def alive_workers(port: int) -> int:
    """Return the number of live workers of the master; 0 while it does not respond."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/", timeout=5) as answer:
            return int(json.load(answer)["aliveworkers"])
    except OSError:
        return 0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of a master with one worker of one core; both are stopped afterwards."""
    folder = tmp_path_factory.mktemp("cluster")
    port, page = find_free_port(), find_free_port()
    uri = f"spark://127.0.0.1:{port}"
    processes = [daemon(folder, MASTER, "--port", str(port), "--webui-port", str(page))]
    try:
        own = ("--webui-port", str(find_free_port()), "--cores", "1", "--memory", "1g")
        processes.append(daemon(folder, WORKER, *own, uri))
        eventually(lambda: alive_workers(page), 180)
        yield uri
    finally:
        for process in reversed(processes):
            stop(process)


@pytest.fixture
def on_cluster(
    cluster: str,
    mlflow_server: str,
    register_version: Callable[..., int],
    bucket: str,
    tmp_path: Path,
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs a command of the project on the cluster."""
    model = f"machine-cluster-{tmp_path.name}"
    register_version(model, "v1.0.0", threshold=0.3)
    submit = {
        "spark.executor.memory": "512m",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
    }
    settings = " ".join(f"--conf {name}={value}" for name, value in submit.items())
    aws = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    environ = {
        **clean_environment(),
        **aws,
        "PYSPARK_SUBMIT_ARGS": f"--master {cluster} {settings} pyspark-shell",
        "MLFLOW_TRACKING_URI": mlflow_server,
        "MODEL_NAME": model,
        "INFERENCE_STORE": bucket,
        "JOURNAL_DIR": str(tmp_path / "journal"),
        "MODEL_CACHE": str(tmp_path / "cache"),
        "LOG_FILE": str(tmp_path / "app.log"),
    }

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=environ,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            out, err = process.communicate(timeout=420)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    run.environ = environ  # type: ignore[attr-defined]
    return run


def test_a_cluster_scores_a_buckets_rows(
    on_cluster: Callable[..., subprocess.CompletedProcess[str]], bucket: str, tmp_path: Path
) -> None:
    """Executors get code, messages, the bucket's keys and the version; bad rows are rejected."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "temperature": rng.normal(20, 5, 60),
            "pressure": rng.uniform(900, 1100, 60),
            "wear": rng.integers(0, 9, 60).astype(float),
        }
    )
    files, root = pafs.FileSystem.from_uri(bucket)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    for number in range(2):
        place = f"{root}-rows/{number}.parquet"
        pq.write_table(table.slice(30 * number, 30), place, filesystem=files)
    output = tmp_path / "scored"
    command = ("serving.score", "--engine", "spark", "--source", f"{bucket}-rows", "--output")
    done = on_cluster(*command, str(output))
    assert done.returncode == 0, done.stderr[-4000:]
    scored = pd.read_parquet(output)
    assert len(scored) == 60
    assert scored["failure_score"].between(0, 1).all()

    frame.loc[:6, "temperature"] = 777.25
    bad = pa.Table.from_pandas(frame, preserve_index=False)
    pq.write_table(bad, f"{root}-rows/0.parquet", filesystem=files)
    refused = on_cluster(*command, str(tmp_path / "none"))
    assert refused.returncode == 1
    assert "7 × temperature fora do intervalo" in refused.stderr, refused.stderr[-4000:]
    assert "777.25" not in refused.stderr and "777,25" not in refused.stderr


def test_a_cluster_counts_drift_of_a_store_in_a_bucket(
    on_cluster: Any, bucket: str, writer: Any, tmp_path: Path
) -> None:
    """Drift on the cluster has the status and bin counts of the local engine."""
    model = on_cluster.environ["MODEL_NAME"]
    names = ("MLFLOW_TRACKING_URI", "MODEL_NAME")
    ours = {name: on_cluster.environ[name] for name in names}
    run_here(["monitoring.build_baseline", "--model_version", "v1.0.0"], ours)
    rng = np.random.default_rng(5)
    store = Store(bucket, tmp_path / "journal")
    for _ in range(3):
        rows = [
            {
                "temperature": float(rng.normal(24, 5)),
                "pressure": float(rng.normal(1000, 10)),
                "wear": float(rng.integers(0, 5)),
                "score": float(rng.random()),
            }
            for _ in range(100)
        ]
        path = writer.parquet(writer.journal(rows, model=model))
        with store.filesystem.open_output_stream(store.path(path.name)) as file:
            file.write(path.read_bytes())
    command = ("monitoring.drift_report", "--output")
    done = on_cluster(*command, str(tmp_path / "spark"), "--engine", "spark")
    assert done.returncode == 0, done.stderr[-4000:]
    local = {name: on_cluster.environ[name] for name in (*names, "INFERENCE_STORE", "JOURNAL_DIR")}
    run_here([*command, str(tmp_path / "local")], local)
    there, here = (report_in(tmp_path / engine) for engine in ("spark", "local"))
    assert there["n_instances"] == 300
    assert there["global_status"] == here["global_status"]
    assert counts(there) == counts(here)
    assert sum(counts(there)["temperature"]) == 300


def report_in(folder: Path) -> dict[str, Any]:
    """Return the numbers of the one report in a folder."""
    (path,) = folder.rglob("*.json")
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def counts(report: dict[str, Any]) -> dict[str, list[int]]:
    """Return how many rows each feature has in each bin."""
    return {name: one["bins"]["current_counts"] for name, one in report["feature_drift"].items()}
