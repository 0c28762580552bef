"""The retention command: a dry run by default, `--apply`, and a run without identities."""

import csv
import gzip
import io
import json
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from core.contract.pseudonym import pseudonym
from core.store.row_filters import OfPerson
from core.upkeep.erasure import count
from monitoring.privacy import aged_files
from monitoring.privacy.errors import FileLeft
from monitoring.retention import main
from serving.telemetry.logs import JsonLog

MODEL = "kept-machine"
KEY = "a key of the tests"
PERSON = "SN-PLANTED-77"
ENTITY = pseudonym(PERSON, KEY)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Set model name, key and log file of this test."""
    monkeypatch.setenv("MODEL_NAME", MODEL)
    monkeypatch.setenv("PSEUDONYM_KEY", KEY)
    monkeypatch.setenv("LOG_FILE", str(tmp_path / "app.log"))


@pytest.fixture
def retention(writer: Any, tmp_path: Path) -> Callable[..., int]:
    """Return a function that runs the command on this test's store and reports."""
    options = ["--inference_store", str(writer.folder), "--output", str(tmp_path / "reports")]
    return lambda *arguments: main([*arguments, *options])


def last_run(uri: str) -> Any:
    """Return the newest run of the monitoring experiment."""
    import mlflow

    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name(f"{MODEL}-monitoring")
    return client.search_runs([experiment.experiment_id], max_results=1)[0]


def row(entity: str | None, temperature: float) -> dict[str, Any]:
    """Return a captured row of an entity."""
    return {
        "temperature": temperature,
        "pressure": None,
        "wear": 1.0,
        "score": 0.5,
        "entity": entity,
    }


def aged(path: Path, days: float, text: str = "x") -> Path:
    """Write a file last modified `days` ago; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    stamp = time.time() - days * 86_400
    os.utime(path, (stamp, stamp))
    return path


def log_line(days: float, message: str) -> str:
    """Return a line of the proxy's log, `days` old."""
    moment = datetime.now(UTC) - timedelta(days=days)
    stamp = moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return json.dumps({"timestamp": stamp, "level": "INFO", "message": message}) + "\n"


def test_what_is_old_goes_by_policy(
    retention: Callable[..., int],
    writer: Any,
    tmp_path: Path,
    mlflow_server: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Rows, reports, label files and log lines are removed by age, and only with `--apply`."""
    old = writer.parquet(writer.journal([row(None, 1.0)] * 3, age=timedelta(days=200)))
    new = writer.parquet(writer.journal([row(None, 2.0)], age=timedelta(days=2)))
    reports = [
        aged(tmp_path / "reports" / "v1.0.0" / f"drift_report_{days}.html", days)
        for days in (200, 40, 1)
    ]
    labels = [aged(tmp_path / f"labels{days}.csv", days) for days in (200, 1)]
    aged(tmp_path / "app.log", 1, log_line(200, "velha") + log_line(1, "nova"))
    aged(tmp_path / "app.log.1", 300, log_line(300, "antiga"))
    command = ["--days", "180", "--reports_days", "30", "--labels", *map(str, labels)]

    assert retention(*command) == 0
    told = capsys.readouterr().out
    assert "A remover o que passou da idade (linhas: 180 dias)" in told
    assert f"linhas em {writer.folder}: 3" in told
    assert "): 2" in told
    assert "Nada foi mudado; acrescente --apply" in told
    assert all(path.exists() for path in [old, new, *reports, *labels])
    assert "velha" in (tmp_path / "app.log").read_text()

    assert retention(*command, "--apply") == 0
    told = capsys.readouterr().out
    assert [path.exists() for path in [old, new]] == [False, True]
    assert [path.exists() for path in reports] == [False, False, True]
    assert [path.exists() for path in labels] == [False, True]
    logs = "".join(path.read_text() for path in tmp_path.glob("app.log*"))
    assert ("velha" in logs, "antiga" in logs, "nova" in logs) == (False, False, True)
    run = last_run(mlflow_server)
    assert run.info.run_id in told
    assert run.data.params == {
        "action": "retain",
        "rows_days": "180",
        "reports_days": "30",
        "logs_days": "180",
    }
    numbers = {"rows_removed": 3, "files_changed": 1, "journals_changed": 0}
    numbers |= {"reports_removed": 2, "label_files_removed": 1, "log_lines_removed": 2}
    numbers |= {"files_quarantined": 0, "quarantined_removed": 0}
    assert run.data.metrics == numbers


def test_a_log_that_is_being_written_loses_no_line(tmp_path: Path) -> None:
    """While a log is written, old lines are removed and every new line is in one of its files."""
    path = aged(tmp_path / "app.log", 0, log_line(200, "velha"))
    log, done, written = JsonLog(path), threading.Event(), 0

    def write() -> None:
        nonlocal written
        while not done.is_set():
            log.event("INFO", f"n{written};")
            written += 1
            time.sleep(0.001)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        time.sleep(0.1)
        assert aged_files.drop_lines(path, datetime.now(UTC) - timedelta(days=180)) == 1
    finally:
        done.set()
        writer.join()
        log.close()
    text = "".join(p.read_text() for p in aged_files.logs_of(path))
    assert "velha" not in text
    assert written > 500
    assert all(f"n{number};" in text for number in range(written))
    assert path.exists()


def test_a_rotated_log_that_is_gzipped_loses_its_old_lines(tmp_path: Path) -> None:
    """Gzipped rotated logs keep their new lines; a file of old lines alone is removed."""
    before = datetime.now(UTC) - timedelta(days=180)
    mixed, old = tmp_path / "app.log.1.gz", tmp_path / "app.log.2.gz"
    mixed.write_bytes(gzip.compress((log_line(200, "velha") + log_line(1, "nova")).encode()))
    old.write_bytes(gzip.compress(log_line(300, "antiga").encode()))
    log = tmp_path / "app.log"
    assert sum(aged_files.count_lines(p, before) for p in aged_files.logs_of(log)) == 2
    assert aged_files.drop_lines(log, before) == 2
    assert not old.exists()
    assert gzip.decompress(mixed.read_bytes()).decode() == log_line(1, "nova")


@pytest.mark.parametrize("damage", ["cut", "changed", "no gzip"])
def test_a_damaged_gzipped_log_is_named(tmp_path: Path, damage: str) -> None:
    """It is left as it is, the others lose their old lines, and the error is one of ours."""
    content = bytearray(gzip.compress(log_line(200, "velha").encode() * 50))
    content[len(content) // 2] ^= 255
    given = {"cut": content[:-12], "changed": content, "no gzip": b"text\n"}[damage]
    path, sound = tmp_path / "app.log.1.gz", tmp_path / "app.log.2"
    path.write_bytes(given)
    sound.write_text(log_line(200, "velha") + log_line(1, "nova"))
    before = datetime.now(UTC) - timedelta(days=180)
    with pytest.raises(FileLeft, match=r"app\.log\.1\.gz.*gzip"):
        aged_files.count_lines(path, before)
    with pytest.raises(FileLeft, match=r"app\.log\.1\.gz.*gzip"):
        aged_files.drop_lines(tmp_path / "app.log", before)
    assert path.read_bytes() == given
    assert sound.read_text() == log_line(1, "nova")
    assert {one.name for one in tmp_path.iterdir()} == {path.name, sound.name}


def test_forgetting_is_said_first_and_checked_after(
    retention: Callable[..., int],
    writer: Any,
    mlflow_server: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Erasure ignores case and spaces, verifies itself and logs the count without the identity."""
    writer.parquet(writer.journal([row(ENTITY, 1.0), row(None, 2.0)]))
    writer.journal([row(ENTITY, 3.0)])
    assert retention("--forget", PERSON.lower()) == 0
    assert "Linhas desta pessoa" in (told := capsys.readouterr().out)
    assert ": 2 (arquivos Parquet: 1, journals: 1)" in told
    assert count(writer.store, OfPerson(ENTITY)).rows == 2
    monkeypatch.setattr("sys.stdin", io.StringIO(f" {PERSON} \n"))
    assert retention("--forget", "-", "--apply") == 0
    told = capsys.readouterr().out
    assert "Conferido: nenhuma linha desta pessoa restou." in told
    assert count(writer.store, OfPerson(ENTITY)).rows == 0
    run = last_run(mlflow_server)
    assert run.data.params == {"action": "forget"}
    assert run.data.metrics["rows_removed"] == 2
    for text in (told, json.dumps(run.to_dictionary(), default=str)):
        assert PERSON not in text
        assert ENTITY not in text


def test_a_person_is_found_however_the_number_is_typed(
    retention: Callable[..., int], writer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows stored for `RA-12` are found by `ra 012`."""
    writer.parquet(writer.journal([row(pseudonym("RA-12", KEY), 1.0), row(ENTITY, 2.0)]))
    assert retention("--forget", "ra 012") == 0
    assert ": 1 (arquivos Parquet: 1" in capsys.readouterr().out


def test_rows_that_come_meanwhile_are_said(
    retention: Callable[..., int],
    writer: Any,
    mlflow_server: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Rows captured during an erasure are reported, with exit code 3."""
    from monitoring.privacy import person

    genuine = person.erase

    def erase_while_one_is_scored(*arguments: Any) -> Any:
        found = genuine(*arguments)
        writer.journal([row(ENTITY, 9.0)])
        return found

    writer.journal([row(ENTITY, 3.0)])
    monkeypatch.setattr(person, "erase", erase_while_one_is_scored)
    assert retention("--forget", PERSON, "--apply") == 3
    assert "Chegou 1 linha nova" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".json", ".csv", ".parquet"])
def test_an_export_holds_what_is_stored(
    retention: Callable[..., int], writer: Any, tmp_path: Path, mlflow_server: str, suffix: str
) -> None:
    """An export has each row of all versions once, by time, without pseudonym, in mode 0600."""
    writer.parquet(writer.journal([row(ENTITY, 2.0)], age=timedelta(hours=2)), keep_journal=True)
    writer.parquet(writer.journal([row(None, 7.0)]))
    other = type(writer)(writer.folder, {"speed": "double"})
    other.journal([{"speed": 4.0, "score": 0.1, "entity": ENTITY}], number=2)
    target = tmp_path / "out" / f"person{suffix}"
    assert retention("--export", PERSON, "--to", str(target)) == 0
    assert target.stat().st_mode & 0o777 == 0o600
    readers: dict[str, Callable[[], list[dict[str, Any]]]] = {
        ".json": lambda: json.loads(target.read_text()),
        ".csv": lambda: list(csv.DictReader(target.open(encoding="utf-8"))),
        ".parquet": lambda: pq.read_table(target).to_pylist(),
    }
    rows = readers[suffix]()
    assert [float(row["registry_version"]) for row in rows] == [1, 2]
    assert float(rows[0]["temperature"]) == 2.0
    assert float(rows[1]["speed"]) == 4.0
    assert pd.Timestamp(rows[0]["timestamp"]) < pd.Timestamp(rows[1]["timestamp"])
    assert "entity" not in rows[0]
    assert list(target.parent.iterdir()) == [target]


def test_an_export_can_be_counted_first(
    retention: Callable[..., int], writer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --to the rows are only counted; a file name of unknown format is refused."""
    writer.journal([row(ENTITY, 2.0)])
    assert retention("--export", PERSON) == 0
    assert "Linhas desta pessoa" in (told := capsys.readouterr().out)
    assert ": 1 (" in told
    assert retention("--export", PERSON, "--to", "person.txt") == 1
    assert ".json, .csv ou .parquet" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["--forget", "--export"])
def test_without_a_key_nobody_can_be_found(
    retention: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    what: str,
) -> None:
    """Without PSEUDONYM_KEY the error names the variable and does not repeat the identity."""
    monkeypatch.delenv("PSEUDONYM_KEY")
    assert retention(what, PERSON) == 1
    error = capsys.readouterr().err
    assert "PSEUDONYM_KEY" in error
    assert PERSON not in error


def test_one_thing_at_a_time(retention: Callable[..., int]) -> None:
    """Exactly one of age and person must be given, and the age must be positive."""
    for arguments in ([], ["--days", "1", "--forget", "x"], ["--days", "0"]):
        with pytest.raises(SystemExit) as ended:
            retention(*arguments)
        assert ended.value.code == 2
