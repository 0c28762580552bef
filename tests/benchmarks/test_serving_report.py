"""The table of the serving benchmark."""

import math
from typing import Any

import pytest

from benchmarks.contention import Burst, Contention
from benchmarks.load import Load
from benchmarks.serving_report import OURS, TWO, Measured, Plan, report


def measured(**changes: Any) -> Measured:
    """Return the results of a run of two rounds, with changes."""
    known: dict[str, Any] = {
        "loads": {
            (OURS, 64): [Load(1000, 1, 2, 0, 0.25, 1.0), Load(2000, 1, 4, 0, 0.25, 1.0)],
            (TWO, 64): [Load(1400, 1, 2, 3, 0.3, 1.6), Load(3000, 1, 4, 0, 0.3, 1.6)],
        },
        "memory": {OURS: 260.0, TWO: 262.0},
        "skipped": {"MLServer": "mlserver cannot be installed"},
        "large_ms": (3.0, 2.0),
        "beside": Contention(
            0.5,
            1.25,
            [
                Burst(0.2, {"/health": 42.4, "/ready": 1.0, "/metrics": 2.0}),
                Burst(23.0, {"/health": 142.4, "/ready": 3.0, "/metrics": 1.0}),
            ],
        ),
        "growth_mb": (260.0, 260.0),
        "start_s": (4.0, 3.0),
    }
    return Measured(**{**known, **changes})


def test_what_the_cores_allow_stands_beside_two_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """On two cores, of which one worker and wrk use 1.25, two workers reach 1.6 times at most."""
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    text = "\n".join(report(measured(), Plan(2, 1, 1, 1)))
    assert "one worker, two | 2 | 1.00 + 0.25, 1.60 + 0.30 |" in text
    assert "filled all 2 at no loss | | 1.60 |" in text
    assert "2,200 (1.00 / 3.00, 3 failed)" in text
    assert "× alone | ≤ 3 | 2.5 (0.50 → 1.25 ms) |" in text
    assert "| worst under overload, ms | ≤ 100 | /health 142, /ready 3, /metrics 2 |" in text
    assert (
        "| the same in bursts whose processor the host left alone (of 2) | ≤ 100 | 42 in 1 |"
        in text
    )
    assert "| MLServer | skipped: mlserver cannot be installed |||| |" in text


def test_a_ratio_compares_turns_of_one_round() -> None:
    """Ratios are taken within each round, so that the machine's speed in a round cancels out."""
    assert measured().ratio(TWO, OURS, 64) == pytest.approx((1.4 + 1.5) / 2)
    assert measured().ratio(TWO, OURS, 64, "p99") == 1
    assert math.isnan(measured().ratio(TWO, "MLServer", 64))
