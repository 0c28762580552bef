"""Progress output of commands: steps, a bar, and each step's share of the time."""

import time

import pytest

from core.cli.progress import Bar, Clock


def test_clock_adds_up_steps_and_gives_shares() -> None:
    """A step entered twice counts once, with both times; shares add up to one."""
    clock = Clock()
    assert clock.shares() == {}
    for name, pause in (("read", 0.02), ("fit", 0.02), ("read", 0.02)):
        with clock.step(name):
            time.sleep(pause)
    assert list(clock.seconds) == ["read", "fit"]
    assert clock.seconds["read"] >= 0.04
    assert sum(clock.shares().values()) == pytest.approx(1)
    assert "ler a planilha " in str(clock) and " %" in str(clock)


def test_a_step_that_fails_is_counted_too() -> None:
    """A step that raises is recorded, with the time until the exception."""
    clock = Clock()
    with pytest.raises(KeyError), clock.step("read"):
        raise KeyError
    assert "read" in clock.seconds


def test_into_a_file_the_bar_is_written_once(capsys: pytest.CaptureFixture[str]) -> None:
    """In a file the bar is one line, written when it is full, without carriage returns."""
    bar = Bar("famílias", 3)
    bar.tick()
    bar.tick()
    assert capsys.readouterr().out == ""
    bar.tick()
    out = capsys.readouterr().out
    assert "3/3 famílias, 0,0 s" in out and out.count("\n") == 1 and "\r" not in out


def test_on_a_terminal_the_bar_is_rewritten(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal each tick rewrites the same line."""
    import sys

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    bar = Bar("famílias", 2)
    bar.tick()
    assert capsys.readouterr().out.startswith("\r") is True
    bar.tick()
    assert capsys.readouterr().out.endswith("\n")
