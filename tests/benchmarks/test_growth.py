"""Measurement of a command's cost in bench-growth, and its rows of the results."""

import pytest

from benchmarks.commands import Cost, cost, medians
from benchmarks.growth import Grown
from benchmarks.growth_store import Linear


def test_a_commands_cost_is_its_own() -> None:
    """Seconds, peak and printed bytes are the command's own, whatever memory its parent holds."""
    held = bytearray(200 * 2**20)
    found = cost(["json.tool", "--help"])
    assert len(held) == 200 * 2**20
    assert 0 < found.seconds < 60
    assert 1 < found.peak < 100
    assert found.printed > 100
    again = medians({1: ["json.tool", "--help"]}, 1)
    assert again[1].printed == found.printed


def test_a_command_that_fails_is_no_measurement() -> None:
    """A command that fails raises RuntimeError with the end of its stderr."""
    with pytest.raises(RuntimeError, match="no_such_file"):
        cost(["json.tool", "no_such_file"])


def test_lines_say_ratio_and_slope() -> None:
    """Rows have the ratio of largest to smallest cost, or the milliseconds of each further file."""
    grown = Grown("report", "days", {1: Cost(2.0, 9, 10), 365: Cost(3.0, 9, 12)})
    assert grown.line() == "| `report` | 1 days: 2.00 s, 365 days: 3.00 s | 1.50 | 12 |"
    costs = {1: Cost(2.0, 100, 0), 3: Cost(4.0, 120, 0)}
    linear = Linear("`compact`", "days", costs, {1: 1000, 3: 3000})
    assert linear.line() == "| `compact` | 1 days: 2.0 s, 100 MB; 3 days: 4.0 s, 120 MB | 1.00 ms |"
