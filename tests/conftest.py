"""Fixtures of all tests: live servers, ports, stores, and tiny registered versions."""

import gc
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lighter_libraries import lighten
from tests.live import find_free_port, make_bucket, shared_base
from tests.mlflow_servers import shared_mlflow

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# The scheduled compaction must not merge files of tests that run at night.
os.environ["COMPACT_HOUR"] = "none"
from core.mlflow_client.client import configure_client

configure_client()  # as every command does, before anything imports MLflow
lighten()


SERVERS = frozenset(
    {"mlflow_server", "object_store", "bucket", "running", "trained", "serve", "unity"}
)
"""Fixtures that start a server, or train through one; their tests are marked `server`."""


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark tests that need a server, by their fixtures; `make test-fast` leaves them out."""
    wanted = {*getattr(item, "fixturenames", ())}
    if hasattr(item, "callspec"):  # a fixture requests another one by its parameter
        wanted |= {one for one in item.callspec.params.values() if isinstance(one, str)}
    if SERVERS & wanted:
        item.add_marker("server")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files with the longest timeouts first, so that none runs alone at the end.

    Then those that need a server, and last the quick ones; of equals the file with most tests.
    """
    longest: dict[Path, float] = defaultdict(float)
    many = Counter(item.path for item in items)
    for item in items:
        limit = item.get_closest_marker("timeout")
        seconds = limit.args[0] if limit else 1.0 if item.get_closest_marker("server") else 0.0
        longest[item.path] = max(longest[item.path], seconds)
    items.sort(key=lambda item: (-longest[item.path], -many[item.path]))


def pytest_collection_finish() -> None:
    """Collect garbage rarely, and never imported objects: this saves a twelfth of all time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(autouse=True)
def same_server() -> Iterator[None]:
    """Restore the server for the next test, since MLflow keeps the last client's address."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    registry = os.environ.get("MLFLOW_REGISTRY_URI")
    yield
    if registry is None:
        os.environ.pop("MLFLOW_REGISTRY_URI", None)
    if before and "mlflow" in sys.modules:
        import mlflow

        mlflow.set_registry_uri("")
        if mlflow.get_tracking_uri() != before:
            mlflow.set_tracking_uri(before)


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Return a function that finds a free port."""
    return find_free_port


@pytest.fixture(scope="session")
def object_store() -> Iterator[str]:
    """Yield the address of a live S3 server (moto's)."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(object_store: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URI of a prefix in a new bucket; endpoint and keys are in the environment."""
    return make_bucket(object_store, monkeypatch)


@pytest.fixture(scope="session")
def mlflow_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with database and artifacts of the MLflow server that all workers share."""
    folder = shared_base(tmp_path_factory) / "mlflow"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def mlflow_server(mlflow_folder: Path) -> Iterator[str]:
    """Yield the tracking URI of the shared MLflow server, which is set in the environment."""
    with shared_mlflow(mlflow_folder) as uri, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        yield uri


@pytest.fixture(scope="session")
def register_version(
    mlflow_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., int]:
    """Return a function that registers a tiny version, logged as training logs one."""
    from tests.tiny_versions import TinyVersions

    return TinyVersions(mlflow_server, tmp_path_factory).register


@pytest.fixture
def writer(tmp_path: Path) -> Any:
    """Return a writer of a store in a temporary folder."""
    from tests.stored import StoreWriter

    return StoreWriter(tmp_path / "inference_store")


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, writer: Any) -> tuple[Any, Callable[[], None]]:
    """Return a store, and a function that uploads the writer's Parquet files to it."""
    from core.store.filesystem import Store

    if request.param == "folder":
        return writer.store, lambda: None
    store = Store(request.getfixturevalue("bucket"), writer.folder / "journal")

    def upload() -> None:
        for path in writer.folder.glob("*.parquet"):
            with store.filesystem.open_output_stream(store.path(path.name)) as file:
                file.write(path.read_bytes())
            path.unlink()

    return store, upload


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a folder on its own file system (tmpfs) of 64 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
