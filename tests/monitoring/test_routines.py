"""The scheduled routines: times, commands, and failures."""

import re
import runpy
import signal
import subprocess
import sys
import time
from datetime import datetime
from importlib.util import find_spec

import pytest

from core.messages import _
from monitoring.routines import ROUTINES, Routine, huey
from tests.live import ROOT


def due(moment: datetime) -> set[str]:
    """Return the names of the routines due in this minute."""
    return {task.name for task in huey.read_periodic(moment)}


def test_each_day_compacts_deletes_what_is_old_and_reports() -> None:
    """A Wednesday in mid-month has compaction, retention and the daily report, and no more."""
    day = [due(datetime(2026, 3, 11, hour, minute)) for hour in range(24) for minute in range(60)]
    assert [names for names in day if names] == [{"compactação"}, {"retenção"}, {"drift diário"}]


def test_mondays_and_firsts_report_on_more_days() -> None:
    """The weekly report is due on Monday, the monthly one on the first of the month."""
    assert due(datetime(2026, 3, 9, 6, 30)) == {"drift semanal"}
    assert due(datetime(2026, 3, 10, 6, 30)) == set()
    assert due(datetime(2026, 4, 1, 7, 0)) == {"drift mensal"}
    assert due(datetime(2026, 4, 2, 7, 0)) == set()


@pytest.mark.parametrize("routine", ROUTINES, ids=lambda routine: routine.name)
def test_each_routine_is_a_command_that_knows_its_options(
    routine: Routine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each routine's module exists, and its `--help` lists the routine's options."""
    if find_spec(routine.module) is None:
        pytest.skip(f"{routine.module} is not in this tree")
    # As `python -m`, but in this process, where its imports are already loaded.
    monkeypatch.delitem(sys.modules, routine.module, raising=False)
    monkeypatch.setattr(sys, "argv", [routine.module, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(routine.module, run_name="__main__")
    assert not ended.value.code
    told = capsys.readouterr().out
    for option in (word for word in routine.arguments if word.startswith("--")):
        assert option in told, option


@pytest.mark.parametrize("words", [(), ("--help",)])
def test_the_module_says_what_it_runs_and_how_to_start_the_clock(words: tuple[str, ...]) -> None:
    """The module prints how to start the scheduler, and the routines' times and commands."""
    command = [sys.executable, "-m", "monitoring.routines", *words]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert told.returncode == 0
    assert "huey_consumer monitoring.routines.huey" in " ".join(told.stdout.split())
    if not words:
        assert re.search(r"06:30 +segundas-feiras +drift semanal +python -m monit", told.stdout)
        assert re.search(r"03:00 +todo dia +compactação", told.stdout)
        assert re.search(r"07:00 +dia 1º do mês +drift mensal", told.stdout)


def test_a_failing_routine_says_so_and_stops_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    """A failing routine prints its exit code and raises no exception."""
    assert Routine("teste", "monitoring.compact", ("--inference_store", "nowhere")).run() == 1
    told = capfd.readouterr()
    assert "rotina teste: terminou com código 1" in told.out
    assert "nowhere" in told.err


@pytest.mark.server
def test_the_scheduler_starts_as_its_container_starts_it() -> None:
    """Huey's consumer lists the routines and exits with 0 on SIGINT."""
    command = [sys.executable, "-m", "huey.bin.huey_consumer", "monitoring.routines.huey"]
    process = subprocess.Popen(
        [*command, "--workers", "1", "--simple"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    seen = ""
    for line in process.stderr:
        seen += line
        if _(ROUTINES[-1].name) in line:
            time.sleep(1)  # It lists the routines just before it installs signal handlers.
            process.send_signal(signal.SIGINT)
            break
    assert process.wait(20) == 0, seen
    for routine in ROUTINES:
        assert _(routine.name) in seen
    process.stderr.close()
