"""Daily compaction by the proxy: schedule, coordination of workers, and failures."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from core.files.locks import locked
from core.store.filesystem import Store
from core.store.listing import list_store
from core.store.quarantine import FOLDER
from serving.capture import compaction
from serving.capture.compaction import Compactor
from serving.config.settings import Settings
from serving.telemetry.logs import JsonLog
from tests.live import eventually, wait_for
from tests.stored import flip_a_page

HOUR = 3
Clock = Callable[[timedelta], None]


def local_zone(later: timedelta) -> str:
    """Return a POSIX time zone in which local time is now HOUR:05 plus `later`."""
    now = datetime.now(UTC)
    ahead = now.replace(hour=HOUR, minute=5) - now + later
    minutes = round(ahead.total_seconds() / 60)
    # POSIX offsets are positive west of Greenwich.
    return f"TST{'-' if minutes >= 0 else '+'}{abs(minutes) // 60}:{abs(minutes) % 60:02}"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """Yield a function that sets the process's local time to HOUR:05 plus a delay."""

    def put(later: timedelta = timedelta()) -> None:
        monkeypatch.setenv("TZ", local_zone(later))
        time.tzset()

    put()
    yield put
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def compactors(
    writer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> Iterator[Callable[..., Compactor]]:
    """Yield a function that starts a compactor of the writer's store within the compaction hour."""
    monkeypatch.setattr(compaction, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(compaction, "AGAIN_SECONDS", 0.05)
    made: list[Compactor] = []

    def start(**changes: Any) -> Compactor:
        settings = Settings(
            inference_store=writer.folder,
            journal_dir=writer.folder / "journal",
            log_file=tmp_path / "app.log",
            compact_hour=HOUR,
            **changes,
        )
        made.append(Compactor(settings, JsonLog(settings.log_file)))
        made[-1].start()
        return made[-1]

    yield start
    for one in made:
        one.close()
        assert not one._thread.is_alive()


def fill(writer: Any, files: int = 2) -> list[Path]:
    """Write Parquet files of one row each, dated two days ago; return their paths."""
    row = {"temperature": 1.0, "pressure": None, "wear": 1.0, "score": 0.5}
    noon = datetime.now(UTC).replace(hour=12)
    age = datetime.now(UTC) - noon + timedelta(days=2)
    return [writer.parquet(writer.journal([row], age=age)) for _ in range(files)]


def live(folder: Path) -> int:
    """Return the number of live files of the store."""
    return len(list_store(Store(folder)).live)


def program(path: Path, text: str) -> str:
    """Write a shell script to use as `sys.executable`; return its path."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.slow
def test_a_proxy_compacts_by_itself_once(
    register_version: Callable[..., int],
    new_model: Callable[[], str],
    settings_for: Callable[..., Settings],
    spawned: Callable[..., Any],
    free_port: Callable[[], int],
    writer: Any,
) -> None:
    """A server of two workers compacts once in its hour: one file, all rows, one log line."""
    name = new_model()
    register_version(name)
    fill(writer, 3)
    settings = settings_for(name, inference_store=writer.folder)
    given = {"COMPACT_HOUR": str(HOUR), "TZ": local_zone(timedelta())}
    with spawned(settings, free_port(), "--workers", "2", **given) as (process, proxy):
        wait_for(f"{proxy.http.base_url}/ready", 60, process)
        eventually(lambda: live(writer.folder) == 1, 60)
        eventually(lambda: [line for line in proxy.log() if "3 arquivos" in line["message"]])
        assert proxy.health()["status"] == "healthy"
        assert 'serving_heartbeat_age_seconds{part="compaction"}' in proxy.http.get("/metrics").text
    (merged,) = list_store(writer.store).live
    assert len(pd.read_parquet(merged)) == 3
    said = [line["message"] for line in proxy.log() if "arquivos" in line["message"]]
    assert len(said) == 1


def test_health_tells_of_a_failure_until_it_is_mended(
    register_version: Callable[..., int],
    new_model: Callable[[], str],
    start: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    writer: Any,
    clock: Clock,
) -> None:
    """Failure: degraded with the reason, one ERROR line, predictions continue; success: healthy."""
    monkeypatch.setattr(compaction, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(compaction, "AGAIN_SECONDS", 0.05)
    name = new_model()
    register_version(name)
    fill(writer)
    in_the_way = writer.folder / ".compact.lock"
    in_the_way.mkdir()
    store = {"inference_store": writer.folder, "journal_dir": writer.folder / "journal"}
    proxy = start(name, compact_hour=HOUR, **store).wait_ready()
    proxy.wait_for(status="degraded")
    assert any("compactação diária falhou" in reason for reason in proxy.health()["reasons"])
    row = {"temperature": 21.5, "pressure": 1003.25, "wear": 2}
    assert proxy.predict(row).status_code == 200
    clock(timedelta(hours=5))  # the retry does not wait for the next day's hour
    in_the_way.rmdir()
    proxy.wait_for(status="healthy")
    errors = [line["message"] for line in proxy.log() if line["level"] == "ERROR"]
    assert len(errors) == 1
    assert live(writer.folder) == 1


def test_it_waits_for_its_hour_and_makes_up_for_missed_days(
    writer: Any, compactors: Callable[..., Compactor], clock: Clock, tmp_path: Path
) -> None:
    """Nothing is merged before the hour; newer files are merged in the hour of a later day."""
    clock(timedelta(hours=-1))
    fill(writer)
    compactor = compactors(workers_dir=tmp_path)
    first = compactor.heart._at
    eventually(lambda: compactor.heart._at > first + 0.2)
    assert live(writer.folder) == 2
    clock(timedelta())
    eventually(lambda: live(writer.folder) == 1, 60)
    (today,) = eventually(lambda: list(tmp_path.glob("compacted-*")))
    fill(writer, 1)
    today.rename(tmp_path / "compacted-2000-01-01")  # as if the last compaction were days ago
    eventually(lambda: live(writer.folder) == 1, 60)
    assert compactor.problems() == []


def test_workers_of_one_server_take_turns(
    writer: Any,
    compactors: Callable[..., Compactor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second worker of a server starts no compaction process on the same day."""
    starts = tmp_path / "starts"
    counted = program(tmp_path / "python", f'echo >> {starts}\nexec {sys.executable} "$@"')
    monkeypatch.setattr(sys, "executable", counted)
    workers = tmp_path / "workers"
    workers.mkdir()
    fill(writer)
    compactors(workers_dir=workers)
    eventually(lambda: list(workers.glob("compacted-*")), 60)
    second = compactors(workers_dir=workers)
    eventually(lambda: second._not_before)
    assert starts.read_text() == "\n"
    assert live(writer.folder) == 1


def test_another_job_at_work_is_waited_for(
    writer: Any, compactors: Callable[..., Compactor], tmp_path: Path
) -> None:
    """A lock held by another job is no failure; compaction runs once it is released."""
    fill(writer)
    with locked(writer.folder / ".compact.lock"):
        compactor = compactors(workers_dir=tmp_path)
        eventually(lambda: compactor._not_before, 60)
        assert compactor.problems() == []
        assert live(writer.folder) == 2
    eventually(lambda: live(writer.folder) == 1, 60)


def test_a_damaged_file_is_put_aside_and_said(
    writer: Any, compactors: Callable[..., Compactor], tmp_path: Path
) -> None:
    """A damaged file is quarantined and logged, the others are merged; no problem is reported."""
    damaged, *_others = fill(writer, 3)
    flip_a_page(damaged)
    compactor = compactors(workers_dir=tmp_path)
    eventually(lambda: live(writer.folder) == 1, 60)
    log = tmp_path / "app.log"
    eventually(lambda: log.exists() and damaged.name in log.read_text("utf-8"))
    assert (writer.folder / FOLDER / damaged.name).exists()
    assert compactor.problems() == []


def test_one_that_stands_still_is_ended_and_said(
    writer: Any,
    compactors: Callable[..., Compactor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A compaction without progress is killed and reported until the next attempt succeeds."""
    fill(writer)
    with monkeypatch.context() as patch:
        patch.setattr(compaction, "SILENT_SECONDS", 0.2)
        patch.setattr(sys, "executable", program(tmp_path / "python", "exec sleep 600"))
        compactor = compactors(workers_dir=tmp_path)
        eventually(lambda: "ficou parada" in "".join(compactor.problems()))
    eventually(lambda: not compactor.problems(), 60)
    assert live(writer.folder) == 1


def test_an_end_does_not_wait_for_it(
    writer: Any,
    compactors: Callable[..., Compactor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Closing the compactor kills its process, and that is not reported as a failure."""
    pid = tmp_path / "pid"
    sleeps = program(
        tmp_path / "python", f"echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 600"
    )
    monkeypatch.setattr(sys, "executable", sleeps)
    fill(writer)
    compactor = compactors(workers_dir=tmp_path)
    eventually(pid.exists)
    compactor.close()
    assert not compactor._thread.is_alive()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    assert compactor.problems() == []
