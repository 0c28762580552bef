"""Conversion in a child process: reported outcomes, cost to a worker, and crashes."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from core.files.locks import owned
from core.journals.journals import rotate
from core.store.filesystem import Store
from serving.capture import conversion
from serving.capture.conversion import convert_free
from serving.capture.parquet import collect
from serving.errors import ConversionFailed
from tests.live import ROOT, wait_for
from tests.serving.capture.test_capture import ROW, Register, write_journal


def test_each_journal_is_converted_or_named(tmp_path: Path) -> None:
    """The outcome of a damaged journal names the file and contains no captured value."""
    damaged = write_journal(tmp_path / "j", "a", 1, b'"SECRET"\n[1]\n')
    good = write_journal(tmp_path / "j", "b", 2)
    outcomes = convert_free(tmp_path / "j", tmp_path / "store")
    assert outcomes[good] is None
    assert damaged.name in str(outcomes[damaged])
    assert "SECRET" not in str(outcomes)
    assert [path.name for path in (tmp_path / "j").iterdir()] == ["quarantine"]
    (target,) = (tmp_path / "store").iterdir()
    assert len(pd.read_parquet(target)) == 2


def test_relative_places_are_those_of_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative paths resolve against the caller's working directory, not the child's."""
    monkeypatch.chdir(tmp_path)
    write_journal(Path("j"), "a", 1)
    assert list(convert_free(Path("j"), Path("store")).values()) == [None]
    assert len(list((tmp_path / "store").iterdir())) == 1


def test_nothing_to_convert_starts_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No process is started without journals or when the only journal is locked by its owner."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert convert_free(tmp_path, tmp_path) == {}
    assert convert_free(tmp_path / "none", tmp_path) == {}
    with owned(write_journal(tmp_path, "a", 1)) as held:
        assert held
        assert convert_free(tmp_path, tmp_path) == {}
    with pytest.raises(AssertionError, match="started"):
        convert_free(tmp_path, tmp_path)


def test_a_killed_conversion_is_an_error_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A conversion killed by signal 9 raises, leaves its journals, and can be repeated."""
    journal = write_journal(tmp_path / "j", "a", 1)
    dies = tmp_path / "python"
    dies.write_text("#!/bin/sh\nkill -9 $$\n")
    dies.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(dies))
        with pytest.raises(ConversionFailed, match="sinal 9"):
            convert_free(tmp_path / "j", tmp_path / "store")
    assert journal.exists()
    assert convert_free(tmp_path / "j", tmp_path / "store") == {journal: None}


def test_health_and_log_tell_of_conversions_that_die(
    register_version: Register,
    new_model: Callable[[], str],
    start: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Predictions continue, one ERROR line; once conversion works: healthy and no row lost."""
    name = new_model()
    register_version(name)
    fails = tmp_path / "python"
    fails.write_text("#!/bin/sh\nexit 3\n")
    fails.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(fails))
        proxy = start(name, capture_flush_seconds=0.1).wait_ready()
        assert proxy.predict(ROW).status_code == 200
        proxy.wait_for(status="degraded")
        assert any("código 3" in reason for reason in proxy.health()["reasons"])
        assert proxy.predict(ROW).status_code == 200
    proxy.wait_for(status="healthy", capture={"captured": 2, "pending": 0, "lost": 0})
    errors = [line["message"] for line in proxy.log() if line["level"] == "ERROR"]
    assert len(errors) == 1


def test_what_another_converts_is_pending_no_more(
    register_version: Register,
    new_model: Callable[[], str],
    start: Callable[..., Any],
    eventually: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pending rows drop to 0 soon after another process converts a journal that it had locked."""
    name = new_model()
    register_version(name)
    proxy = start(name, capture_flush_seconds=3600).wait_ready()
    assert proxy.predict(ROW).status_code == 200
    turns: list[Path] = []

    def held(folder: Path, *_: Any) -> dict[Path, str | None]:
        turns.append(folder)
        return {}

    monkeypatch.setattr(conversion, "convert_free", held)
    folder = proxy.settings.journal_dir
    (journal,) = rotate(folder)
    eventually(lambda: turns, 30)
    assert proxy.health()["capture"]["pending"] == 1
    taken = dict(collect(Store(proxy.settings.inference_store, folder)))
    assert taken == {journal: None}
    eventually(lambda: proxy.health()["capture"]["pending"] == 0)
    assert proxy.health()["status"] == "healthy"


def test_a_conversion_imports_no_pandas(tmp_path: Path) -> None:
    """Arrow would import pandas for a constant column: half the cost of a small journal."""
    write_journal(tmp_path / "j", "a", 1)
    places = (str(tmp_path / "j"), str(tmp_path / "store"), str(os.getpid()))
    command = [sys.executable, "-X", "importtime", "-m", "serving.capture.conversion", *places]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert len(list((tmp_path / "store").iterdir())) == 1
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "pyarrow.parquet" in imported
    assert not [name for name in imported if name.startswith("pandas.")]


def test_a_worker_never_loads_parquet(
    register_version: Register,
    new_model: Callable[[], str],
    settings_for: Callable[..., Any],
    free_port: Callable[[], int],
    eventually: Callable[..., Any],
    spawned: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """A worker never maps pyarrow's Parquet library, so conversion does not grow its memory."""
    name = new_model()
    register_version(name)
    settings = settings_for(name, capture_flush_seconds=0.1, inference_store=tmp_path / "store")
    with spawned(settings, free_port()) as (process, proxy):
        wait_for(f"{proxy.http.base_url}/ready", 60, process)
        assert proxy.predict(ROW).status_code == 200
        eventually(lambda: list((tmp_path / "store").glob("*.parquet")), 30)
        maps = Path(f"/proc/{process.pid}/maps")
        if not maps.exists():
            pytest.skip("no /proc here")
        assert "/pyarrow/lib." in maps.read_text()
        assert "/pyarrow/_parquet." not in maps.read_text()
