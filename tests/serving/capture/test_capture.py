"""Capture: each answered row is stored exactly once, also across process crashes."""

import json
import os
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient

from core.contract.columns import LEADING_COLUMNS, TRAILING_COLUMNS
from core.contract.pseudonym import pseudonym
from core.store.errors import FileDamaged
from core.store.filesystem import Store
from core.store.schema import JournalHeader
from serving.capture.parquet import collect, convert
from tests.live import read_objects
from tests.stored import read_journal as read

ROW = {"temperature": 21.5, "pressure": None, "wear": 2}
Register = Callable[..., int]


def captured(store: Path | str) -> pd.DataFrame:
    """Return all Parquet rows of a folder or a bucket."""
    if isinstance(store, str):
        return pd.concat(read_objects(store).values())
    return pd.concat([pd.read_parquet(path) for path in sorted(store.glob("*.parquet"))])


def test_a_captured_row_holds_what_was_answered(
    register_version: Register, new_model: Callable[[], str], start: Callable[..., Any]
) -> None:
    """Each column matches request, response and version; the identity is stored as a pseudonym."""
    name = new_model()
    number = register_version(name, "v2.0.1", threshold=0.25)
    began = datetime.now(UTC)
    proxy = start(name, capture_flush_seconds=0.2, pseudonym_key="key").wait_ready()
    instances = [{**ROW, "serial": "s-1"}, {**ROW, "temperature_2023": 30}]
    del instances[1]["temperature"]
    answer = proxy.predict(*instances, headers={"X-Request-ID": "r1"}).json()
    proxy.wait_for(capture={"captured": 2, "pending": 0, "lost": 0})
    (path,) = proxy.parquet()
    frame = pd.read_parquet(path)
    assert list(frame) == [
        *LEADING_COLUMNS,
        *("temperature", "pressure", "wear"),
        *TRAILING_COLUMNS,
    ]
    assert frame["request_id"].tolist() == ["r1", "r1"]
    assert frame["instance"].tolist() == [0, 1]
    assert frame["model_name"].tolist() == [name, name]
    assert frame["model_version"].tolist() == ["v2.0.1", "v2.0.1"]
    assert frame["registry_version"].tolist() == [number, number]
    assert frame["role"].tolist() == ["primary", "primary"]
    assert frame["entity"][0] == pseudonym("S-1", "key")
    assert pd.isna(frame["entity"][1])
    assert frame["temperature"].tolist() == [21.5, 30.0]
    assert pd.isna(frame["period"][0])
    assert frame["period"][1] == 2023
    assert frame["pressure"].isna().all()
    scores = [prediction["failure_score"] for prediction in answer["predictions"]]
    assert frame["score"].tolist() == scores
    assert frame["label"].tolist() == [p["failure_label"] for p in answer["predictions"]]
    assert frame["threshold"].tolist() == [0.25, 0.25]
    assert frame["scored_ms"].between(0, answer["processing_time_ms"]).all()
    assert frame["timestamp"].between(began, datetime.now(UTC)).all()
    types = {field.name: str(field.type) for field in pq.read_schema(path)}
    assert types["timestamp"] == "timestamp[us, tz=UTC]"
    assert (types["wear"], types["label"], types["entity"]) == ("double", "int64", "string")
    assert types["period"] == "int64"


def test_without_a_key_no_identity_is_stored(
    register_version: Register, new_model: Callable[[], str], start: Callable[..., Any]
) -> None:
    """The journal holds the identity neither in clear text nor as a pseudonym."""
    name = new_model()
    register_version(name)
    proxy = start(name).wait_ready()
    assert proxy.predict({**ROW, "serial": "SERIAL-SECRET"}).status_code == 200
    (journal,) = proxy.journals()
    header, rows = read(journal)
    assert rows[0][list(header.columns).index("entity")] is None
    assert b"SERIAL-SECRET" not in journal.read_bytes()


def test_a_journal_shows_what_was_answered_before_it_is_parquet(
    register_version: Register, new_model: Callable[[], str], start: Callable[..., Any]
) -> None:
    """The journal holds each answered row as soon as it is answered, before any conversion."""
    name = new_model()
    register_version(name)
    proxy = start(name).wait_ready()
    for count in range(1, 4):
        assert proxy.predict(ROW).status_code == 200
        (journal,) = proxy.journals()
        assert len(read(journal)[1]) == count
    assert proxy.health()["capture"] == {"captured": 3, "pending": 3, "lost": 0}
    assert not proxy.parquet()


def test_a_file_holds_rows_of_one_version(
    register_version: Register, new_model: Callable[[], str], start: Callable[..., Any]
) -> None:
    """After an alias flip, rows are written to another file."""
    name = new_model()
    register_version(name, "v1.0.0")
    second = register_version(name, "v1.1.0", alias=None)
    proxy = start(name, capture_flush_seconds=0.5).wait_ready()
    proxy.predict(ROW)
    MlflowClient().set_registered_model_alias(name, "champion", str(second))
    proxy.wait_for(registry_version=second)
    proxy.predict(ROW)
    proxy.wait_for(capture={"captured": 2, "pending": 0, "lost": 0})
    releases = [pd.read_parquet(path)["model_version"].tolist() for path in proxy.parquet()]
    assert releases == [["v1.0.0"], ["v1.1.0"]]


def test_unwritable_journals_are_counted_and_predictions_go_on(
    register_version: Register,
    new_model: Callable[[], str],
    start: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """Lost rows are reported in /health and the log; capture resumes once the path is writable."""
    name = new_model()
    register_version(name)
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder is needed")
    proxy = start(name, journal_dir=blocked).wait_ready()
    for _ in range(3):
        assert proxy.predict(ROW).status_code == 200
    health = proxy.health()
    assert health["capture"] == {"captured": 0, "pending": 0, "lost": 3}
    assert health["status"] == "degraded"
    assert "3 linhas" in health["reasons"][0]
    blocked.unlink()
    proxy.predict(ROW)
    assert proxy.health()["capture"] == {"captured": 1, "pending": 1, "lost": 3}
    messages = [line["message"] for line in proxy.log() if line["level"] == "ERROR"]
    assert len(messages) == 2
    assert "3 linhas foram perdidas" in messages[1]


@pytest.mark.parametrize("kind", ["folder", pytest.param("bucket", marks=pytest.mark.slow)])
def test_killed_workers_lose_nothing_they_answered(
    kind: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    two_workers: Callable[..., Any],
    free_port: Callable[[], int],
    eventually: Callable[..., Any],
    spawned: Callable[..., Any],
) -> None:
    """After SIGKILL under load during conversion, each answered row is stored exactly once."""
    store = request.getfixturevalue("bucket") if kind == "bucket" else tmp_path / "store"
    folders = {"inference_store": store, "journal_dir": tmp_path / "journals"}
    answered: list[str] = []
    with two_workers(capture_flush_seconds=0.05, **folders) as (process, proxy):
        eventually(lambda: _ready(proxy.http), 60)
        url = str(proxy.http.base_url)
        load = [threading.Thread(target=_ask_until_it_dies, args=(url, answered)) for _ in range(6)]
        for thread in load:
            thread.start()
        eventually(lambda: len(answered) > 300)
        os.killpg(process.pid, signal.SIGKILL)
        for thread in load:
            thread.join(20)
    with spawned(proxy.settings, free_port()) as (process, proxy):
        eventually(lambda: _ready(proxy.http), 60)
        eventually(lambda: not proxy.journals(), 60)
        process.terminate()
        assert process.wait(30) == 0
    ids = captured(store)["request_id"].tolist()
    assert set(answered) <= set(ids)
    assert len(ids) == len(set(ids))


def _ready(client: httpx.Client) -> bool:
    try:
        return client.get("/ready").status_code == 200
    except httpx.TransportError:
        return False


def _ask_until_it_dies(url: str, answered: list[str]) -> None:
    with httpx.Client(base_url=url, timeout=5) as client:
        try:
            while True:
                answer = client.post("/predict", json={"instances": [ROW]})
                if answer.status_code == 200:  # the other worker may not be ready yet
                    answered.append(answer.json()["request_id"])
        except (httpx.TransportError, json.JSONDecodeError):
            return


def write_journal(folder: Path, stem: str, rows: int, tail: bytes = b"") -> Path:
    """Write the journal that a killed process leaves, with one feature; return its path."""
    constants = {"model_name": "m", "model_version": "v1.0.0", "registry_version": 1, "role": "p"}
    header = JournalHeader.of(constants, {"x": "double"})
    lines = [
        json.dumps([f"r{number}", 0, 1_700_000_000_000_000, None, None, None, 0.5, 1, 0.5, 1.0])
        for number in range(rows)
    ]
    folder.mkdir(exist_ok=True)
    path = folder / f"{stem}.jsonl"
    text = "".join(line + "\n" for line in lines)
    path.write_bytes(header.to_line() + text.encode() + tail)
    return path


def test_conversion_can_be_repeated_after_a_crash(tmp_path: Path) -> None:
    """A journal whose Parquet file already exists is deleted; the file is not rewritten."""
    path = write_journal(tmp_path / "j", "20240101T000000.000000Z-v1-a", 3)
    copy, store = path.read_bytes(), tmp_path / "a" / "store"
    convert(path, Store(store, path.parent))
    (target,) = store.glob("*.parquet")
    assert target.stem == path.stem
    assert len(pd.read_parquet(target)) == 3
    before = target.stat().st_mtime_ns
    path.write_bytes(copy)
    convert(path, Store(store, path.parent))
    assert not path.exists()
    assert target.stat().st_mtime_ns == before


@pytest.mark.parametrize(("rows", "tail", "files"), [(0, b"", 0), (2, b'["half', 1)])
def test_what_was_never_answered_is_left_out(
    tmp_path: Path, rows: int, tail: bytes, files: int
) -> None:
    """A journal of only a header yields no file; a truncated last line is dropped."""
    path = write_journal(tmp_path / "j", "a", rows, tail)
    convert(path, Store(tmp_path, path.parent))
    assert not path.exists()
    found = list(tmp_path.glob("*.parquet"))
    assert len(found) == files
    assert sum(len(pd.read_parquet(file)) for file in found) == rows


def test_a_damaged_journal_is_kept_and_named(tmp_path: Path) -> None:
    """A damaged journal is quarantined and reported; the other journals are converted."""
    damaged = write_journal(tmp_path / "j", "a", 1, b"not json\n[1]\n")
    write_journal(tmp_path / "j", "b", 1)
    outcomes = dict(collect(Store(tmp_path, tmp_path / "j")))
    assert isinstance(outcomes[damaged], FileDamaged)
    assert (damaged.parent / "quarantine" / damaged.name).exists()
    assert [path.stem for path in tmp_path.glob("*.parquet")] == ["b"]


def test_collectors_can_race(tmp_path: Path) -> None:
    """Concurrent collectors of one folder convert each journal exactly once."""
    journals = [write_journal(tmp_path / "j", f"s{number}", 2) for number in range(30)]
    taken: list[Path] = []

    def work() -> None:
        for path, error in collect(Store(tmp_path, tmp_path / "j")):
            assert error is None
            taken.append(path)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(journals)
    assert not list((tmp_path / "j").iterdir())
    assert len(captured(tmp_path)) == 60
    assert not list(tmp_path.glob(".*"))
