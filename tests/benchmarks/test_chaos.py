"""The campaign of faults: its checks detect violations, and a short campaign has none."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.chaos.account import Account, Acknowledged, Attempt, Fault
from benchmarks.chaos.verdict import (
    StoredRow,
    check_rows,
    is_sound,
    judge,
    silences,
    sort_attempts,
)
from tests.live import ROOT, clean_environment

ACKNOWLEDGED = {f"r{n}": Acknowledged(1, (0.25, 0.5), person=n % 2) for n in range(4)}
STORED = [StoredRow(f"r{n}", i, 1, (0.25, 0.5)[i]) for n in range(4) for i in (0, 1)]


def test_what_is_stored_as_it_was_answered_is_sound() -> None:
    """Rows stored once as acknowledged have no finding, also beside rows never acknowledged."""
    found = check_rows(ACKNOWLEDGED, [*STORED, StoredRow("unanswered", 0, 1, 0.1)], {})
    assert (found.acknowledged, found.lost, found.doubled, found.mixed) == (8, 0, 0, 0)


def test_a_lost_and_a_doubled_row_are_noticed() -> None:
    """A missing row, two doubled rows and a row of another version are counted and named."""
    other = StoredRow("r3", 0, 2, 0.25)
    twice = [StoredRow("unanswered", 0, 1, 0.1)] * 2
    rows = [*STORED[1:-2], STORED[-1], other, STORED[3], *twice]
    found = check_rows(ACKNOWLEDGED, rows, {})
    assert (found.lost, found.doubled, found.mixed) == (1, 2, 1)
    assert set(found.examples) == {
        *("lost: r0/0", "doubled: r1/1", "doubled: unanswered/0", "mixed: r3/0"),
    }
    judged = judge(Account(acknowledged=dict(ACKNOWLEDGED)), found, 60)
    assert not is_sound(judged)


def test_rows_of_the_forgotten_are_missed_by_nobody_and_must_not_be_there() -> None:
    """After a completed erasure no row may be left; after a tried one rows may be left or not."""
    kept = [row for row in STORED if row.request_id in ("r0", "r2", "r3")]
    tried = check_rows(ACKNOWLEDGED, kept, {1: "tried"})
    assert (tried.lost, tried.remembered) == (0, 0)
    done = check_rows(ACKNOWLEDGED, kept, {1: "done"})
    assert (done.lost, done.remembered) == (0, 2)


def test_a_request_fails_unless_a_fault_that_was_made_explains_it() -> None:
    """A failed attempt counts as failed unless a kill, a full disk or an outage explains it."""
    faults = [Fault("kill worker", 10, 10), Fault("disk full", 20, 25), Fault("outage", 30, 40)]
    attempts = [
        Attempt(9.5, 9.8, 10.1, "connection ConnectionResetError"),
        Attempt(22, 22, 22.1, "503 capture_failed"),
        Attempt(31, 31, 31.1, "connection ConnectionRefusedError"),
        Attempt(15, 15, 15.1, "connection ConnectionResetError"),
        Attempt(16, 16, 16.1, "503 capture_failed"),
        Attempt(9.9, 9.9, 10.1, "503 not_ready"),
    ]
    found = sort_attempts(attempts, faults)
    assert (found["interrupted"], found["disk full"], found["no worker"]) == (1, 1, 1)
    assert found["failed"] == 3


def test_silence_is_measured_with_and_without_a_server() -> None:
    """A gap around an outage of the whole server counts only in the second number."""
    assert silences([1, 2, 4, 45, 46], [Fault("outage", 5, 44)]) == (2, 41)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_short_campaign_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """A campaign of 24 s with real processes finds no lost, doubled, mixed or remembered row."""
    written = tmp_path / "found.json"
    options = ("--minutes", "0.4", "--seed", "7", "--pace", "2", "--json", str(written))
    command = [sys.executable, "-m", "benchmarks.chaos", *options]
    done = subprocess.run(
        command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert written.exists(), done.stderr[-2000:]
    found = json.loads(written.read_text())
    assert found["acknowledged"] > 0
    assert sum(found["kills"].values()) > 0
    broken = {name: found[name] for name in ("lost", "doubled", "mixed", "remembered")}
    assert not any(broken.values()), (broken, found["examples"])
