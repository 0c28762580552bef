"""Who has to act: the runbook's table (§6), case by case."""

import pytest

from monitoring.tracking.escalation import Escalation, escalate


def level(drift: str | None, performance: str | None, *, served: bool = True) -> Escalation:
    """Escalate for release v1.1.0."""
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
    """Drift alone is L1 or L2, labels that show worse performance at least L2, both L3."""
    found = level(drift, performance)
    assert found.level == expected
    assert (found.action is None) == (expected == "NONE")
    assert found.action is None or found.action.startswith(f"{expected}:")


def test_only_the_third_level_of_the_served_version_has_a_command() -> None:
    """What is not served cannot be rolled back."""
    command = level("RED", "DEGRADED").command
    assert command is not None
    assert command.startswith("python -m mlflow_project.registry rollback --reason ")
    assert "v1.1.0" in command
    assert level("RED", "DEGRADED", served=False).command is None
    assert level("RED", "OK").command is None


def test_the_first_champion_has_nothing_to_go_back_to() -> None:
    """A command that can only fail is not recommended; what to do instead is said."""
    found = escalate("RED", "DEGRADED", release="v1.0.0", served=True, reversible=False)
    assert found.level == "L3"
    assert found.command is None
    assert found.action is not None
    assert "v1.0.0" in found.action
    assert "§3.5" in found.action
