"""The image `app`, built from the lock without Docker, run unprivileged on a read-only root."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.live import ROOT, find_free_port, wait_for

DRIVER = Path(__file__).parent / "image.py"
NAMESPACE = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
ROW = {"temperature": 21.5, "pressure": 1003.25, "wear": 2}


def why_not() -> str | None:
    """Return why this machine cannot build and run the image, or None."""
    if os.getuid() != 0 or shutil.which("unshare") is None:
        return "needs root and unshare: it mounts an overlay and changes its root"
    with tempfile.TemporaryDirectory() as folder:
        for part in ("upper", "work", "root"):
            (Path(folder) / part).mkdir()
        options = f"lowerdir=/,upperdir={folder}/upper,workdir={folder}/work"
        command = ["mount", "-t", "overlay", "overlay", "-o", options, f"{folder}/root"]
        done = subprocess.run([*NAMESPACE, *command], capture_output=True, text=True)
    return f"no overlay mounts here: {done.stderr.strip()}" if done.returncode else None


REASON = why_not()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(REASON is not None, reason=str(REASON)),
]


def volumes() -> list[str]:
    """Return the folders on which docker-compose.yml mounts volumes into our containers."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    ours = [s for s in compose["services"].values() if "build" in s]
    entries = {entry for s in ours for entry in s.get("volumes", [])}
    return sorted(e.split(":")[1] for e in entries if e.split(":")[0] in compose["volumes"])


class Image:
    """A built image; its processes run as its user in its read-only root."""

    def __init__(self, namespace: int, facts: dict[str, Any]) -> None:
        """Keep the process id of the namespace, and the Dockerfile's settings."""
        self.namespace, self.facts = namespace, facts

    def command(self, *words: str, **environ: str) -> list[str]:
        """Return the command line that runs a command in the image."""
        env = {**self.facts["env"], **environ}
        return [
            *("nsenter", "--target", str(self.namespace), "--mount"),
            *("/usr/sbin/chroot", f"--userspec={self.facts['user']}", self.facts["root"]),
            *("/usr/bin/env", "-i", "-C", self.facts["workdir"]),
            *(f"{name}={value}" for name, value in env.items()),
            *words,
        ]

    def run(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the image to its end."""
        return subprocess.run(self.command(*words, **environ), capture_output=True, text=True)


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """Yield the image, built once for the module."""
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        process = subprocess.Popen(
            [*NAMESPACE, sys.executable, str(DRIVER), folder, *volumes()],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            line = next((text for text in process.stdout if '"ready"' in text), "")
            assert line, f"the build failed with {process.wait()}"
            (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            yield Image(int(child), json.loads(line))
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(30)


def test_it_holds_no_installer_no_compiler_and_no_project_folder(image: Image) -> None:
    """The image has no pip, uv, tests, data, models or `.env`, and the project is hidden."""
    assert image.run("python", "-c", "import pip").returncode
    assert image.run("/usr/local/bin/python", "-c", "import pip").returncode
    assert image.run("python", "-c", "import uv").returncode
    assert image.run("sh", "-c", "command -v uv").returncode
    listed = image.run("find", "/app", "-type", "f", "-not", "-name", "*.pyc").stdout.split()
    assert "/app/serving/app.py" in listed
    kinds = {Path(path).suffix for path in listed}
    assert not kinds & {".xlsx", ".parquet", ".skops", ".joblib", ".log", ".db"}
    assert not [path for path in listed if path.startswith("/app/tests") or path.endswith("/.env")]
    assert image.run("ls", str(ROOT)).stdout == ""


def test_its_user_has_no_rights_and_its_root_is_read_only(image: Image) -> None:
    """The image's user is not root and can write to the volumes and /tmp only."""
    assert image.run("id", "-u").stdout.strip() == "10001"
    for path in ("/app/x", "/opt/venv/x", "/etc/x", "/x"):
        assert image.run("touch", path).returncode, path
    for path in (*(f"{volume}/x" for volume in volumes()), "/tmp/x"):  # noqa: S108
        assert image.run("touch", path).returncode == 0, path


def test_it_refuses_the_example_secrets(image: Image) -> None:
    """`check_secrets`, the first service of docker-compose.yml, fails on an example secret."""
    done = image.run("python", "-m", "scripts.check_secrets", POSTGRES_PASSWORD="change-me")
    assert done.returncode == 1
    assert "POSTGRES_PASSWORD ainda tem o valor de exemplo" in done.stderr


def test_its_scheduler_and_server_programs_start(image: Image) -> None:
    """The commands of MLflow's server and of the scheduler start on the read-only root."""
    assert image.run("mlflow", "server", "--help").returncode == 0
    done = image.run("timeout", "--signal=INT", "8", "python", "-m", *CONSUMER)
    assert "drift diário" in done.stderr, done.stderr


CONSUMER = ("huey.bin.huey_consumer", "monitoring.routines.huey", "--workers", "1", "--simple")


def test_its_jobs_run_as_a_project_without_git(image: Image, mlflow_server: str) -> None:
    """`mlflow run` without git reads a workbook and writes a dataset, both on a volume."""
    book, dataset = "data/processed/book.xlsx", "data/processed/book.parquet"
    made = image.run("python", "-m", "data.synthetic", "--students", "200", "--output", book)
    assert made.returncode == 0, made.stderr
    done = image.run(
        *("mlflow", "run", ".", "--env-manager", "local", "-e", "make_dataset"),
        *("-P", f"source={book}", "-P", f"output={dataset}"),
        MLFLOW_TRACKING_URI=mlflow_server,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert image.run("ls", dataset).returncode == 0


def test_its_proxy_answers_predict(
    image: Image, mlflow_server: str, register_version: Callable[..., int]
) -> None:
    """The image's own command serves the champion, passes its health check, logs and captures."""
    register_version("in-the-image")
    port = find_free_port()
    journal, store = "/data/journal", "/app/monitoring/inference_store"
    command = image.command(
        *image.facts["command"],
        *("--port", str(port), "--workers", "2"),
        MLFLOW_TRACKING_URI=mlflow_server,
        MODEL_NAME="in-the-image",
        JOURNAL_DIR=journal,
        INFERENCE_STORE=store,
        MODEL_CACHE="/data/model-cache",
        CAPTURE_FLUSH_SECONDS="0.5",
        LOG_FILE="-",
    )
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        wait_for(f"http://127.0.0.1:{port}/ready", 90)
        url = f"http://127.0.0.1:{port}"
        answer = httpx.post(f"{url}/predict", json={"instances": [ROW]}, timeout=20)
        assert answer.status_code == 200, answer.text
        assert answer.json()["model_version"] == "v1.0.0"
        probe = [word.replace(":8000", f":{port}") for word in image.facts["health"]]
        assert image.run(*probe).returncode == 0
        assert image.run(*[w.replace(str(port), "9") for w in probe]).returncode == 1
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        said = process.communicate(timeout=60)[0]
    assert '"path": "/predict"' in said, "the log is on standard output"
    assert image.run("sh", "-c", f"ls {store}/*.parquet").returncode == 0
