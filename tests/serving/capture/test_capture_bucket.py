"""Capture into an object store: local journals, uploaded Parquet files, each row once."""

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from core.store.errors import StoreUnreachable
from core.store.filesystem import Store
from core.store.schema import REPLACED_KEY, JournalHeader
from serving.capture.parquet import collect, convert
from tests.live import make_bucket, point_at, read_objects

ROW = {"temperature": 21.5, "pressure": None, "wear": 2}
Register = Callable[..., int]


def request_ids(uri: str) -> list[str]:
    """Return the request id of each captured row."""
    return [i for frame in read_objects(uri).values() for i in frame["request_id"]]


def write_journal(folder: Path, stem: str, rows: int = 3) -> Path:
    """Write the journal that a killed process leaves, with one feature; return its path."""
    constants = {"model_name": "m", "model_version": "v1.0.0", "registry_version": 1, "role": "p"}
    header = JournalHeader.of(constants, {"x": "double"})
    lines = [
        json.dumps([f"{stem}-{n}", 0, 1_700_000_000_000_000, None, None, None, 0.5, 1, 0.5, 1.0])
        for n in range(rows)
    ]
    folder.mkdir(exist_ok=True)
    path = folder / f"{stem}.jsonl"
    path.write_bytes(header.to_line() + "".join(f"{line}\n" for line in lines).encode())
    return path


def test_a_repeated_upload_replaces_itself(bucket: str, tmp_path: Path) -> None:
    """A crash between upload and deletion of the journal duplicates no row and leaves no file."""
    path = write_journal(tmp_path / "j", "20240101T000000.000000Z-v1-a")
    content = path.read_bytes()
    convert(path, Store(bucket, path.parent))
    assert len(read_objects(bucket)[path.stem]) == 3
    path.write_bytes(content)
    convert(path, Store(bucket, path.parent))
    assert len(request_ids(bucket)) == 3
    assert not list((tmp_path / "j").iterdir())


def test_what_was_compacted_is_not_uploaded_again(bucket: str, tmp_path: Path) -> None:
    """A journal whose stem is listed in the footer of a compacted object is not uploaded again."""
    files, root = pafs.FileSystem.from_uri(bucket)
    stem = "20240101T000000.000000Z-v1-a"
    path = write_journal(tmp_path / "j", stem)
    convert(path, Store(bucket, path.parent))
    table = pq.read_table(f"{root}/{stem}.parquet", filesystem=files)
    merged = table.replace_schema_metadata({REPLACED_KEY: json.dumps([stem])})
    name = "20240101T000000.000000Z-v1-compacted-0"
    pq.write_table(merged, f"{root}/{name}.parquet", filesystem=files)
    files.delete_file(f"{root}/{stem}.parquet")
    again = write_journal(tmp_path / "j", stem)
    convert(again, Store(bucket, again.parent))
    assert list(read_objects(bucket)) == [name]


def test_a_failed_upload_ends_the_round(
    object_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed upload ends the round: the other journals are not tried, and none is deleted."""
    point_at(object_store, monkeypatch)
    journals = [write_journal(tmp_path / "j", f"s{number}") for number in range(3)]
    outcomes = list(collect(Store(f"s3://no-such-{uuid.uuid4().hex}/x", tmp_path / "j")))
    assert [path for path, _ in outcomes] == journals[:1]
    assert isinstance(outcomes[0][1], StoreUnreachable)
    assert "NO_SUCH_BUCKET" in str(outcomes[0][1])
    assert sorted((tmp_path / "j").iterdir()) == journals


@pytest.fixture
def late_store(free_port: Callable[[], int]) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield the address of an object store that is not running yet, and a function to start it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=free_port(), verbose=False)
    address, started = f"http://127.0.0.1:{server._port}", threading.Event()

    def start() -> None:
        server.start()
        started.set()

    yield address, start
    if started.is_set():
        server.stop()


def test_rows_wait_in_journals_while_the_store_is_away(
    register_version: Register,
    new_model: Callable[[], str],
    start: Callable[..., Any],
    late_store: tuple[str, Callable[[], None]],
    eventually: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Predictions continue, /health reports it; once the store is up, each row is uploaded once."""
    address, begin = late_store
    name = new_model()
    register_version(name)
    point_at(address, monkeypatch)
    uri = f"s3://late-{uuid.uuid4().hex[:12]}/inferences"
    options = {"inference_store": uri, "capture_flush_seconds": 0.1}
    proxy = start(name, journal_dir=tmp_path / "j", **options).wait_ready()
    answers = [proxy.predict(ROW) for _ in range(5)]
    eventually(lambda: any("Parquet" in reason for reason in proxy.health()["reasons"]))
    answers += [proxy.predict(ROW) for _ in range(5)]
    assert proxy.health()["capture"] == {"captured": 10, "pending": 10, "lost": 0}
    (failure,) = [line["message"] for line in proxy.log() if line["level"] == "ERROR"]
    assert "NETWORK_CONNECTION" in failure
    begin()
    make_bucket(address, monkeypatch, uri)
    proxy.wait_for(status="healthy", capture={"captured": 10, "pending": 0, "lost": 0})
    assert sorted(request_ids(uri)) == sorted(a.json()["request_id"] for a in answers)
