"""The log: lines that people grep and machines parse."""

import asyncio
import json
import subprocess
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from serving.config.settings import Settings
from serving.telemetry.logs import JsonLog, RequestRecord, location, now

ROW = {"temperature": 21.5, "pressure": 1003.25, "wear": 2}
KEYS = [
    *("timestamp", "level", "message", "request_id", "method", "path", "status_code"),
    *("latency_ms", "model_version", "n_instances", "client"),
]


def test_a_request_is_one_line_with_the_promised_keys(proxy: Any, eventually: Any) -> None:
    """Keys come in the promised order, with the version and the number of instances."""
    answer = proxy.predict(ROW, ROW, headers={"X-Request-ID": "log-1"})
    assert answer.status_code == 200

    def found() -> Any:
        return [line for line in proxy.log() if line.get("request_id") == "log-1"]

    (line,) = eventually(found)
    assert list(line) == KEYS
    assert (line["level"], line["method"], line["path"]) == ("INFO", "POST", "/predict")
    assert (line["status_code"], line["model_version"], line["n_instances"]) == (200, "v1.2.0", 2)
    assert line["latency_ms"] >= answer.json()["processing_time_ms"]
    assert datetime.fromisoformat(line["timestamp"]).utcoffset().total_seconds() == 0


def test_every_field_of_a_line_must_be_filled() -> None:
    """One that the middleware forgets fails at the first request; it is not null for ever."""
    assert [f.name for f in msgspec.structs.fields(RequestRecord) if not f.required] == []


def test_the_levels_follow_the_status(proxy: Any, eventually: Any) -> None:
    """Refusals are warnings; the path of a known route is shown, any other is not."""
    proxy.http.get("/nothing", headers={"X-Request-ID": "log-2"})
    proxy.http.get("/health", params={"q": "1"}, headers={"X-Request-ID": "log-3"})
    eventually(lambda: any(line.get("request_id") == "log-3" for line in proxy.log()))
    lines = {line.get("request_id"): line for line in proxy.log()}
    assert (lines["log-2"]["level"], lines["log-2"]["path"]) == ("WARNING", "-")
    assert (lines["log-3"]["level"], lines["log-3"]["path"]) == ("INFO", "/health")


@pytest.mark.parametrize(
    ("names", "known", "unknown"),
    [
        ("key", "41ef4bb0", None),
        ("address", "203.0.113.7", "203.0.113.7"),
        ("none", None, None),
    ],
)
def test_the_log_names_who_asked(
    start: Any, proxy: Any, eventually: Any, names: str, known: str | None, unknown: str | None
) -> None:
    """By digits of the key's digest or by the address that a trusted proxy tells of; never the key.

    The runbook says how to find whose key it is.
    """
    keys = Settings(api_keys="open sesame").api_keys  # type: ignore[arg-type]
    ours = start(proxy.settings.model_name, api_keys=keys, log_client=names).wait_ready()
    sent = {"X-Forwarded-For": "203.0.113.7"}
    ours.predict(ROW, headers={**sent, "X-API-Key": "open sesame", "X-Request-ID": "known"})
    ours.predict(ROW, headers={**sent, "X-API-Key": "guess", "X-Request-ID": "guess"})
    eventually(lambda: any(line.get("request_id") == "guess" for line in ours.log()))
    lines = {line.get("request_id"): line for line in ours.log()}
    assert (lines["known"]["client"], lines["guess"]["client"]) == (known, unknown)
    digest = subprocess.run(
        ["bash", "-c", "printf %s 'open sesame' | sha256sum | cut -c1-8"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert digest.stdout.strip() == "41ef4bb0"
    assert "open sesame" not in ours.settings.log_file.read_text("utf-8")


def test_a_probe_that_is_told_to_wait_is_nothing_to_look_at(
    start: Any, new_model: Any, eventually: Any
) -> None:
    """A proxy without a version says so once a second to whoever probes it."""
    proxy = start(new_model())
    assert proxy.http.get("/ready", headers={"X-Request-ID": "log-4"}).status_code == 503
    lines = eventually(lambda: [r for r in proxy.log() if r.get("request_id") == "log-4"])
    assert [(line["level"], line["status_code"]) for line in lines] == [("INFO", 503)]


def test_the_runbooks_greps_hit(tmp_path: Path) -> None:
    """Separators are written as the runbook's patterns expect them."""
    path = tmp_path / "app.log"
    log = JsonLog(path)
    fields = ("abc123", "GET", "/", 500, 1.5, None, None, None)
    log.request(RequestRecord(now(), "ERROR", 'q"ã\n', *fields))
    log.close()
    for pattern in ('"level": "ERROR"', "request_id.*abc123"):
        grep = subprocess.run(["grep", "-c", pattern, str(path)], capture_output=True, check=True)
        assert grep.stdout == b"1\n"
    assert json.loads(path.read_text("utf-8"))["message"] == 'q"ã\n'


def test_lines_of_several_writers_stay_whole(tmp_path: Path) -> None:
    """Threads, and other logs of the same file, do not tear each other's lines."""
    path = tmp_path / "new" / "folder" / "app.log"
    logs = [JsonLog(path) for _ in range(3)]

    def write(log: JsonLog) -> None:
        for _ in range(200):
            log.event("INFO", "x" * 300)

    threads = [threading.Thread(target=write, args=(log,)) for log in logs * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = path.read_text("utf-8").splitlines()
    assert len(lines) == 1200
    assert all(len(json.loads(line)["message"]) == 300 for line in lines)


def test_a_rotated_file_is_reopened(tmp_path: Path) -> None:
    """After logrotate has moved the file, lines go to a new one of the same name."""
    path = tmp_path / "app.log"
    log = JsonLog(path)
    log.event("INFO", "before")
    path.rename(tmp_path / "app.log.1")
    log._checked = float("-inf")  # as if the second between two looks were over
    log.event("INFO", "after")
    assert "after" in path.read_text("utf-8")
    assert "before" in (tmp_path / "app.log.1").read_text("utf-8")


def test_an_unwritable_log_stops_nothing(tmp_path: Path, capsys: Any) -> None:
    """Predictions go on without their log; standard error says so."""
    (tmp_path / "file").write_text("")
    JsonLog(tmp_path / "file" / "app.log").event("INFO", "x")
    assert "app.log" in capsys.readouterr().err


def test_lines_of_one_turn_leave_together(tmp_path: Path) -> None:
    """On the event loop lines are gathered and written in order at the next turn."""
    path = tmp_path / "app.log"
    log = JsonLog(path)

    async def main() -> None:
        log.event("INFO", "1")
        log.event("INFO", "2")
        assert not path.exists()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(main())
    messages = [json.loads(line)["message"] for line in path.read_text("utf-8").splitlines()]
    assert messages == ["1", "2"]


def test_an_exception_is_told_by_type_and_place_only() -> None:
    """The text of an exception may hold a value, so it stays out."""
    try:
        float("SECRET-1")
    except ValueError as exc:
        text = location(exc)
    assert text.startswith("ValueError < test_serving_logs.py:")
    assert "SECRET" not in text
