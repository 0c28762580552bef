"""The proxy's image is small, and still serves predictions and every page, and captures."""

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
from openpyxl import load_workbook
from packaging.requirements import Requirement

from data.synthetic import generate_workbook, write_workbook
from serving.protocol.media import XLSX
from tests.deploy.buildah import BASE, Buildah, why_not
from tests.live import (
    ROOT,
    clean_environment,
    eventually,
    find_free_port,
    read_objects,
    stop,
    wait_for,
)
from tests.pede_version import register_pede

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
ROW = {"fase": 3, "idade": 15, "iaa": 6.5}
PAGES = (
    "/painel",
    "/lista",
    "/runbook",
    "/runbook/docs/images/painel.png",
    "/docs",
    "/metrics",
    "/health",
)
LISTS = {"SHEET_READER": "mlflow_project.lists", "PANEL_GROUP": "fase"}
PYTHON_SLIM = 130_000_000
"""Size of python:3.11-slim-bookworm in bytes, as clients of its registry report it."""
AIM = 600_000_000


@pytest.fixture(scope="module")
def workbook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a synthetic workbook."""
    path = tmp_path_factory.mktemp("workbook") / "pede.xlsx"
    write_workbook(generate_workbook(300, 1), path)
    return path


@pytest.fixture(scope="module")
def model(mlflow_server: str, workbook: Path) -> str:
    """Return the name of a model whose champion takes the workbook's columns."""
    return register_pede("slim-image", workbook)


def locked() -> Iterator[str]:
    """Yield the packages that the proxy's lock names for this Python."""
    for line in (ROOT / "requirements-serving.lock").read_text().splitlines():
        if line[:1].isalpha():
            found = Requirement(line.rstrip(" \\"))
            if found.marker is None or found.marker.evaluate():
                yield found.name


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a slimmed environment of only the locked packages, copied from this one."""
    folder = tmp_path_factory.mktemp("slim") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python3*/site-packages")
    for name in locked():
        for file in distribution(name).files or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                target = packages / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file.locate(), target)
    subprocess.run([sys.executable, ROOT / "scripts/slim.py", folder], check=True)
    return folder


def size(folder: Path) -> int:
    """Return the total size in bytes of all files under a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def stored_rows(store: Path) -> int:
    """Return how many rows the Parquet files of a folder have."""
    return sum(int(pq.read_metadata(path).num_rows) for path in store.glob("*.parquet"))


@contextmanager
def running(command: list[Any], port: int, environ: dict[str, str]) -> Iterator[str]:
    """Run a proxy; yield its URL once it is ready."""
    process = subprocess.Popen(
        [*map(str, command), "--port", str(port)], cwd=ROOT, env=environ, start_new_session=True
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{url}/ready", 120, process)
        yield url
    finally:
        stop(process)


def use(url: str, workbook: Path) -> None:
    """Request a prediction with explanation, a list in Excel, and every page."""
    asked = {"instances": [ROW], "explain": True}
    answer = httpx.post(f"{url}/predict", json=asked, timeout=30)
    assert answer.status_code == 200, answer.text
    assert answer.json()["model_version"] == "v1.2.0"
    headers = {"Content-Type": XLSX}
    answer = httpx.post(f"{url}/lista", content=workbook.read_bytes(), headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    assert len(load_workbook(io.BytesIO(answer.content)).worksheets) > 1
    for page in PAGES:
        assert httpx.get(url + page, timeout=30).status_code == 200, page
    # Counted from captured rows, by a separate process.
    eventually(lambda: "Pontuados em" in httpx.get(f"{url}/painel", timeout=30).text, 60)


def test_the_locked_packages_made_slim_serve(
    environment: Path, model: str, mlflow_server: str, workbook: Path, bucket: str, tmp_path: Path
) -> None:
    """A slim environment without boto3, Flask and Matplotlib serves all and captures in S3."""
    assert size(environment) + PYTHON_SLIM + 10_000_000 < AIM
    python = environment / "bin/python"
    for name in ("boto3", "flask", "matplotlib"):
        done = subprocess.run([python, "-c", f"import {name}"], capture_output=True, check=False)
        assert b"ModuleNotFoundError" in done.stderr, name
    environ = {
        **clean_environment(),
        "MLFLOW_TRACKING_URI": mlflow_server,
        "MODEL_NAME": model,
        **LISTS,
        "INFERENCE_STORE": bucket,
        "JOURNAL_DIR": str(tmp_path / "journal"),
        "MODEL_CACHE": str(tmp_path / "cache"),
        "LOG_FILE": str(tmp_path / "app.log"),
        "CAPTURE_FLUSH_SECONDS": "0.5",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with running([python, "-m", "serving"], find_free_port(), environ) as url:
        use(url, workbook)
        eventually(lambda: sum(map(len, read_objects(bucket).values())) > 100, 60)
    assert all("score" in frame for frame in read_objects(bucket).values())
    assert '"level": "ERROR"' not in (tmp_path / "app.log").read_text()


@pytest.fixture
def buildah(tmp_path: Path) -> Iterator[Buildah]:
    """Yield a builder; its layers, several gigabytes, are removed after the test."""
    yield Buildah(tmp_path)
    shutil.rmtree(tmp_path / "root", ignore_errors=True)


@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
def test_buildah_builds_the_proxy_and_it_serves(
    buildah: Buildah, model: str, mlflow_server: str, workbook: Path
) -> None:
    """The Dockerfile's target `proxy` is small and unprivileged, serves all and captures."""
    buildah.make_base()
    image = buildah.build(ROOT, "proxy")
    added = buildah.size(image) - buildah.size(BASE)
    print(f"{added / 1e6:.0f} MB on top of the base")  # noqa: T201
    assert added + PYTHON_SLIM < AIM, added
    config = buildah.inspect(image)
    assert config["User"] == "10001:10001"
    assert config["Labels"]["org.opencontainers.image.title"] == "risco-defasagem"
    container = buildah("from", "--pull-never", image)
    run = [*buildah.options, "run", "--isolation", "chroot"]
    for name, value in {
        "MLFLOW_TRACKING_URI": mlflow_server,
        "MODEL_NAME": model,
        **LISTS,
        "JOURNAL_DIR": "/data/journal",
        "MODEL_CACHE": "/data/model-cache",
        "LOG_FILE": "-",
        "CAPTURE_FLUSH_SECONDS": "0.5",
    }.items():
        run += ["--env", f"{name}={value}"]
    refused = [*run, container, "--", "sh", "-c", "touch /app/x || python -m pip"]
    assert subprocess.run(refused, capture_output=True, check=False).returncode
    store = Path(buildah("mount", container)) / "app/monitoring/inference_store"
    command = [*run, container, "--", *config["Cmd"]]
    with running(command, find_free_port(), dict(os.environ)) as url:
        use(url, workbook)
        eventually(lambda: stored_rows(store) > 100, 60)
