"""The table of the serving benchmark."""

import pytest

from benchmarks import serving_report
from benchmarks.load import Load
from benchmarks.serving_report import OURS, TWO, Busy, Measured, Plan, report


def test_what_the_cores_allow_stands_beside_two_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cores, of which one worker and its load take 1.25, can show 1.6 times at most."""
    monkeypatch.setattr(serving_report.os, "cpu_count", lambda: 2)
    measured = Measured(
        loads={(OURS, 64): Load(1000, 1, 2, 0), (TWO, 64): Load(1400, 1, 2, 3)},
        busy={(OURS, 64): Busy(1.0, 0.25), (TWO, 64): Busy(1.6, 0.3)},
        memory={OURS: 260.0, TWO: 262.0},
        skipped={},
        large_ms=(3.0, 2.0),
        growth_mb=(260.0, 260.0),
        start_s=(4.0, 3.0),
    )
    text = "\n".join(report(measured, Plan(1, 1, 1, 1)))
    assert "| two workers, × one, at 64 | ≥ 1.6 | 1.40 |" in text
    assert "one worker, two | 2 | 1.00 + 0.25, 1.60 + 0.30 |" in text
    assert "filled all 2 at no loss | | 1.60 |" in text
    assert "1,400 (1.00 / 2.00, 3 failed)" in text


def test_the_median_of_turns_is_taken_of_each_number() -> None:
    """Server and load generator apart."""
    assert Busy.median([Busy(1.0, 0.3), Busy(1.2, 0.1), Busy(1.1, 0.2)]) == Busy(1.1, 0.2)
