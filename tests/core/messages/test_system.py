"""Reasons of operating system errors are reported in the configured language."""

import errno
import os
from pathlib import Path

import pytest

from core.cli.arguments import run_command
from core.messages.system import system_reason
from tests.live import ROOT

PACKAGES = ("core", "mlflow_project", "serving", "monitoring", "data", "scripts")


def test_a_command_refused_by_the_system_speaks_portuguese(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An OSError is reported with path and reason, in Portuguese or, if configured, English."""
    monkeypatch.delenv("APP_LANGUAGE", raising=False)
    work = (tmp_path / "absent" / "file").read_bytes
    assert run_command(lambda: len(work())) == 1
    assert capsys.readouterr().err.endswith("file: arquivo ou pasta não encontrado\n")
    monkeypatch.setenv("APP_LANGUAGE", "en")
    assert run_command(lambda: len(work())) == 1
    assert capsys.readouterr().err.endswith("file: no such file or folder\n")


@pytest.mark.parametrize(
    "name", ["EACCES", "EADDRINUSE", "EADDRNOTAVAIL", "EISDIR", "EMFILE", "ENOSPC", "EROFS"]
)
def test_usual_reasons_are_translated(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Common errors, as of a full disk, a missing permission or a port in use, are translated."""
    number = getattr(errno, name)
    monkeypatch.setenv("APP_LANGUAGE", "en")
    english = system_reason(OSError(number, os.strerror(number)))
    monkeypatch.setenv("APP_LANGUAGE", "pt_BR")
    told = system_reason(OSError(number, os.strerror(number)))
    assert told not in (english, os.strerror(number))


def test_an_unusual_reason_is_told_as_it_is() -> None:
    """An unknown error keeps the system's text, or its class name where it has none."""
    assert system_reason(OSError(errno.EXDEV, "Invalid cross-device link")).startswith("Invalid")
    assert system_reason(PermissionError("no folder")) == "PermissionError"


def test_nobody_shows_the_systems_own_words() -> None:
    """`strerror`, which is English in every language, is read only where it is translated."""
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    asking = [p for p in files if ".strerror" in p.read_text("utf-8")]
    here = [ROOT / "core/cli/arguments.py", ROOT / "core/messages/system.py"]
    assert sorted(asking) == here  # the first only checks that a reason exists
