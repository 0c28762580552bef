"""The audit of the lock: every pin is audited, and an unreachable source is no finding."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from scripts import audit

ROOT = Path(__file__).resolve().parents[1]


def test_every_locked_package_is_asked_about() -> None:
    """Each pin is audited with its version and marker, and without its hashes."""
    lock = (ROOT / "requirements.lock").read_text()
    asked = [Requirement(pin) for pin in audit.pins(lock)]
    assert len(asked) == lock.count("==") - sum(str(r.marker).count("==") for r in asked)
    made = tomllib.loads(audit.project(audit.pins(lock)))["project"]["dependencies"]
    assert [Requirement(text) for text in made] == asked


@pytest.mark.parametrize(
    ("said", "code", "shown"),
    [
        ((2, "error: Request failed after 3 retries\n  cause: dns error"), 0, "não foi auditado"),
        ((-1, ""), 0, "não foi auditado"),
        ((1, "somewhere 1.0 has 1 known vulnerability"), 1, "known vulnerability"),
        ((0, "Found no known vulnerabilities"), 0, "no known"),
        ((2, "error: no such option"), 1, "no such option"),
    ],
)
def test_only_what_was_found_fails(
    said: tuple[int, str],
    code: int,
    shown: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An impossible audit prints one line and returns 0; findings and other errors return 1."""
    monkeypatch.setattr(audit, "_run", lambda command, _at: (0, "") if "lock" in command else said)
    assert audit.main() == code
    printed = capsys.readouterr().out
    assert shown in printed
    if code == 0:
        assert len(printed.splitlines()) == 1
