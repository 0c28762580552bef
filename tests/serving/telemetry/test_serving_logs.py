"""The JSON log: keys, levels, concurrent writers, rotation."""

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
    """A request is one line with the documented keys in order."""
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
    """No field of RequestRecord has a default, so an omitted one raises instead of being null."""
    assert [f.name for f in msgspec.structs.fields(RequestRecord) if not f.required] == []


def test_the_levels_follow_the_status(proxy: Any, eventually: Any) -> None:
    """A 404 is logged as WARNING with path `-`, a known route as INFO with its path."""
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
    """The client is a prefix of the key's digest, the forwarded address, or null, by LOG_CLIENT.

    The key itself is never logged; the shell command that computes the prefix is the runbook's.
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
    """A 503 of /ready is logged as INFO, since probes repeat it every second."""
    proxy = start(new_model())
    assert proxy.http.get("/ready", headers={"X-Request-ID": "log-4"}).status_code == 503
    lines = eventually(lambda: [r for r in proxy.log() if r.get("request_id") == "log-4"])
    assert [(line["level"], line["status_code"]) for line in lines] == [("INFO", 503)]


def test_the_runbooks_greps_hit(tmp_path: Path) -> None:
    """The runbook's grep patterns match a log line."""
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
    """Lines of concurrent threads and of several logs of one file are not interleaved."""
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
    """After the file was renamed, as by logrotate, lines go to a new file of its name."""
    path = tmp_path / "app.log"
    log = JsonLog(path)
    log.event("INFO", "before")
    path.rename(tmp_path / "app.log.1")
    log._checked = float("-inf")  # as if the second between two checks were over
    log.event("INFO", "after")
    assert "after" in path.read_text("utf-8")
    assert "before" in (tmp_path / "app.log.1").read_text("utf-8")


def test_an_unwritable_log_stops_nothing(tmp_path: Path, capsys: Any) -> None:
    """An unwritable log raises nothing and is reported on standard error."""
    (tmp_path / "file").write_text("")
    JsonLog(tmp_path / "file" / "app.log").event("INFO", "x")
    assert "app.log" in capsys.readouterr().err


def test_lines_of_one_turn_leave_together(tmp_path: Path) -> None:
    """On the event loop lines are buffered and written in order at the next iteration."""
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
    """An exception is logged by type and location, without its text, which may hold a value."""
    try:
        float("SECRET-1")
    except ValueError as exc:
        text = location(exc)
    assert text.startswith("ValueError < test_serving_logs.py:")
    assert "SECRET" not in text
