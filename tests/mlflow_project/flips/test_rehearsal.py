"""Promotion of a version with and without a rehearsal: messages and confirmation."""

import os
import pty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import pytest

from core.contract import names
from mlflow_project import registry as commands

MODEL = "rehearsed-before"
COMMAND = ["promote", "--model_version", "v1.1.0"]


@pytest.fixture
def versions(
    mlflow_server: str,
    register_version: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> tuple[int, int]:
    """Register champion and challenger under this test's name; return their numbers."""
    name = f"{MODEL}-{request.node.name}"[:60]
    monkeypatch.setenv("MODEL_NAME", name)
    champion = register_version(name, "v1.0.0")
    tags = {names.TAG_THRESHOLD: "0.3"}
    return champion, register_version(name, "v1.1.0", alias=names.CHALLENGER, tags=tags)


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch, typed: bytes) -> Iterator[None]:
    """Replace stdin and stdout by a terminal whose input holds a typed line."""
    master, slave = pty.openpty()
    os.write(master, typed)
    with (
        os.fdopen(slave, "r") as reading,
        os.fdopen(os.dup(slave), "w") as writing,
        monkeypatch.context() as patch,
    ):
        patch.setattr("sys.stdin", reading)
        patch.setattr("sys.stdout", writing)
        yield
    os.close(master)


def champion() -> str:
    """Return the number of the version that is served."""
    name = os.environ["MODEL_NAME"]
    return str(mlflow.MlflowClient().get_model_version_by_alias(name, names.CHAMPION).version)


def test_without_a_terminal_one_line_says_it_and_the_promotion_goes_on(
    versions: tuple[int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a terminal an unrehearsed version is promoted, with a line that names the command."""
    assert commands.main(COMMAND) == 0
    assert "registry rehearse v1.1.0" in capsys.readouterr().out
    assert champion() == str(versions[1])


def test_at_a_terminal_only_a_yes_promotes(
    versions: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a terminal an empty line declines the promotion, `s` accepts; `--yes` skips the prompt."""
    with terminal(monkeypatch, b"\n"):
        assert commands.main(COMMAND) == 1
    assert champion() == str(versions[0])
    with terminal(monkeypatch, b"s\n"):
        assert commands.main(COMMAND) == 0
    assert champion() == str(versions[1])
    assert commands.main(["rollback", "--reason", "back"]) == 0
    with terminal(monkeypatch, b"\n"):
        assert commands.main([*COMMAND, "--yes"]) == 0


@pytest.mark.slow
def test_the_newest_rehearsal_is_shown(
    versions: tuple[int, int],
    writer: Any,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """After `registry rehearse`, a promotion prints its headline and does not ask for a rehearsal.

    A rollback prints the command that lists the rows to be reviewed.
    """
    row = {"temperature": 20.0, "pressure": 1000.0, "wear": 2.0, "score": 0.4, "label": 0}
    rows = [{**row, "temperature": 10.0 + n / 3} for n in range(60)]
    writer.journal(rows, model=os.environ["MODEL_NAME"], number=versions[0])
    options = ["--inference_store", str(writer.folder), "--reports", str(tmp_path / "out")]
    assert commands.main(["rehearse", "v1.1.0", *options]) == 0
    told = capfd.readouterr().out.splitlines()[0]
    assert "v1.1.0" in told
    assert "60" in told
    assert commands.main(COMMAND) == 0
    shown = capfd.readouterr().out
    assert told in shown
    assert "registry rehearse" not in shown
    assert commands.main(["rollback", "--reason", "back"]) == 0
    assert "rehearse v1.0.0 --answered_by v1.1.0" in capfd.readouterr().out


def test_another_command_still_refuses_what_it_does_not_know(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Unknown options are passed on by `rehearse` only; `list` refuses them with exit code 2."""
    with pytest.raises(SystemExit) as stopped:
        commands.main(["list", "--everything"])
    assert stopped.value.code == 2
    assert "--everything" in capsys.readouterr().err
