"""Escalation levels by drift and performance status, as in the runbook's table (§6)."""

import pytest

from monitoring.tracking.escalation import Escalation, escalate


def level(drift: str | None, performance: str | None, *, served: bool = True) -> Escalation:
    """Return the escalation for release v1.1.0."""
    return escalate(drift, performance, release="v1.1.0", served=served)


@pytest.mark.parametrize(
    ("drift", "performance", "expected"),
    [
        ("GREEN", "OK", "NONE"),
        ("GREEN", None, "NONE"),
        ("NO_DATA", "NO_DATA", "NONE"),
        (None, None, "NONE"),
        ("YELLOW", "OK", "L1"),
        ("YELLOW", None, "L1"),
        ("RED", "OK", "L2"),
        ("RED", "NO_DATA", "L2"),
        ("RED", None, "L2"),
        ("GREEN", "DEGRADED", "L2"),
        ("YELLOW", "DEGRADED", "L2"),
        (None, "DEGRADED", "L2"),
        ("RED", "DEGRADED", "L3"),
    ],
)
def test_levels(drift: str | None, performance: str | None, expected: str) -> None:
    """Drift alone is L1 or L2, DEGRADED performance at least L2, both L3."""
    found = level(drift, performance)
    assert found.level == expected
    assert (found.action is None) == (expected == "NONE")
    assert found.action is None or found.action.startswith(f"{expected}:")


def test_only_the_third_level_of_the_served_version_has_a_command() -> None:
    """The rollback command is given at L3 only, and for a served version only."""
    command = level("RED", "DEGRADED").command
    assert command is not None
    assert command.startswith("python -m mlflow_project.registry rollback --reason ")
    assert "v1.1.0" in command
    assert level("RED", "DEGRADED", served=False).command is None
    assert level("RED", "OK").command is None


def test_the_first_champion_has_nothing_to_go_back_to() -> None:
    """Without a previous version L3 has no rollback command, but an action with its section."""
    found = escalate("RED", "DEGRADED", release="v1.0.0", served=True, reversible=False)
    assert found.level == "L3"
    assert found.command is None
    assert found.action is not None
    assert "v1.0.0" in found.action
    assert "§3.5" in found.action
