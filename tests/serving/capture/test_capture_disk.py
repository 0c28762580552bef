"""Capture with a full disk, with an unwritable store, and with fsync or required capture."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from core.journals.journal import Journal
from core.store.schema import JournalHeader
from tests.stored import fill_disk, read_journal

ROW = {"temperature": 21.5, "pressure": None, "wear": 2}
Register = Callable[..., int]


def test_with_a_full_disk_predictions_go_on_and_losses_are_counted(
    register_version: Register,
    new_model: Callable[[], str],
    start: Callable[..., Any],
    small_disk: Path,
) -> None:
    """The journal ends with a whole row, log and /health count lost rows, and capture resumes."""
    name = new_model()
    register_version(name)
    proxy = start(name, journal_dir=small_disk / "journal").wait_ready()
    assert proxy.predict(ROW).status_code == 200
    filler = fill_disk(small_disk)
    answers = [proxy.predict(*[ROW] * 50) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 4
    health = proxy.health()
    lost = health["capture"]["lost"]
    assert lost >= 150
    assert health["capture"]["captured"] == 201 - lost
    assert health["status"] == "degraded"
    assert f"{lost} linhas" in health["reasons"][0]
    (journal,) = proxy.journals()
    assert journal.read_bytes().endswith(b"]\n")
    filler.unlink()
    assert proxy.predict(ROW).status_code == 200
    assert len(read_journal(journal)[1]) == 202 - lost
    errors = [line["message"] for line in proxy.log() if line["level"] == "ERROR"]
    assert len(errors) == 2
    assert "não há mais espaço no disco" in errors[0]
    assert f"{lost} linhas foram perdidas" in errors[1]


def test_required_capture_refuses_what_it_cannot_keep(
    register_version: Register,
    new_model: Callable[[], str],
    start: Callable[..., Any],
    small_disk: Path,
) -> None:
    """A request that cannot be captured whole gets 503, with few rows and with many."""
    name = new_model()
    register_version(name)
    proxy = start(name, journal_dir=small_disk / "journal", capture_required=True).wait_ready()
    assert proxy.predict(ROW).status_code == 200
    filler = fill_disk(small_disk)
    for count in (50, 200):
        refused = next(a for a in (proxy.predict(*[ROW] * count) for _ in range(3)) if a.is_error)
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "capture_failed"
        assert refused.headers["Retry-After"] == "5"
    health = proxy.health()
    assert health["capture"]["lost"] == 0
    assert "CAPTURE_REQUIRED" in health["reasons"][0]
    (journal,) = proxy.journals()
    assert len(read_journal(journal)[1]) == health["capture"]["captured"]
    filler.unlink()
    assert proxy.predict(ROW).status_code == 200
    assert proxy.health()["status"] == "healthy"


def test_rows_wait_in_journals_while_parquet_cannot_be_written(
    register_version: Register,
    new_model: Callable[[], str],
    start: Callable[..., Any],
    eventually: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """A store path that is no folder is reported; once it is one, each row is stored once."""
    name = new_model()
    register_version(name)
    store = tmp_path / "blocked"
    store.write_text("a file where a folder is needed")
    options = {"inference_store": store, "capture_flush_seconds": 0.1}
    proxy = start(name, journal_dir=tmp_path / "j", **options).wait_ready()
    answers: list[httpx.Response] = []

    def failing() -> bool:
        answers.append(proxy.predict(ROW))
        return any("Parquet" in reason for reason in proxy.health()["reasons"])

    eventually(failing)
    answers.append(proxy.predict(ROW))
    assert proxy.health()["capture"]["pending"] == len(answers)
    store.unlink()
    proxy.wait_for(status="healthy", capture={"captured": len(answers), "pending": 0, "lost": 0})
    frame = pd.concat([pd.read_parquet(path) for path in proxy.parquet()])
    assert sorted(frame["request_id"]) == sorted(a.json()["request_id"] for a in answers)


def test_sync_waits_for_the_disk_once_a_batch(
    register_version: Register,
    new_model: Callable[[], str],
    start: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """CAPTURE_SYNC=always syncs the journal once per batch before the response; else never."""
    synced: list[int] = []
    genuine = os.fdatasync

    def watched(fd: int) -> None:
        genuine(fd)
        synced.append(os.fstat(fd).st_size)

    monkeypatch.setattr(os, "fdatasync", watched)
    name = new_model()
    register_version(name)
    relaxed = start(name).wait_ready()
    assert relaxed.predict(ROW).status_code == 200
    assert not synced
    careful = start(name, capture_sync=True, journal_dir=relaxed.settings.journal_dir / "2")
    careful.wait_ready()
    for count in (1, 2, 3):
        assert careful.predict(*[ROW] * count).status_code == 200
        (journal,) = careful.journals()
        assert synced[-1] == journal.stat().st_size
    assert len(synced) == 4  # the header, and three batches


def test_a_disk_that_fails_to_sync_keeps_nothing_of_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch whose sync failed is truncated, since it is counted as lost or refused."""
    constants = {"model_name": "m", "model_version": "v1.0.0", "registry_version": 1, "role": "p"}
    journal = Journal(tmp_path, JournalHeader.of(constants, {"x": "double"}), sync_each=True)
    before = journal.path.read_bytes()

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(OSError, match="Input"):
        journal.append(b"[1]\n", 1)
    assert journal.path.read_bytes() == before
    journal.close()


def test_a_store_that_is_removed_counts_its_rows_as_lost_at_once(
    register_version: Register, new_model: Callable[[], str], start: Callable[..., Any]
) -> None:
    """Rows of a deleted journal are logged and counted as lost; later rows are captured."""
    name = new_model()
    register_version(name)
    proxy = start(name).wait_ready()
    assert proxy.predict(*[ROW] * 64).status_code == 200
    shutil.rmtree(proxy.settings.inference_store)
    assert proxy.predict(*[ROW] * 62).status_code == 200
    health = proxy.health()
    assert health["capture"]["lost"] == 64
    assert health["status"] == "degraded"
    assert "64 linhas" in health["reasons"][0]
    (journal,) = proxy.journals()
    assert len(read_journal(journal)[1]) == 62
    (told,) = [line["message"] for line in proxy.log() if line["level"] == "ERROR"]
    assert "64 linhas respondidas estão perdidas" in told


def test_a_journal_that_vanishes_without_further_requests_is_noticed_too(
    register_version: Register,
    new_model: Callable[[], str],
    start: Callable[..., Any],
) -> None:
    """The capture thread detects the deleted journal at its next round, without a request."""
    name = new_model()
    register_version(name)
    proxy = start(name, capture_flush_seconds=3).wait_ready()
    assert proxy.predict(*[ROW] * 5).status_code == 200
    shutil.rmtree(proxy.settings.inference_store)
    proxy.wait_for(status="degraded", capture={"captured": 5, "pending": 0, "lost": 5})
