"""Retraining: versions served before are recognised, and a capacity question goes to a person."""

from collections.abc import Callable
from pathlib import Path

import pytest

from core.contract import names
from core.registry.versions import open_registry
from mlflow_project.flips.promotion import promote, rollback
from mlflow_project.retrain import was_served
from mlflow_project.runs.completion import Registered, open_question
from mlflow_project.train import report_result


def test_a_version_that_was_rolled_back_counts_as_served(
    register_version: Callable[..., int],
) -> None:
    """A version rolled back counts as served by the ledger; one never promoted does not."""
    for release in ("v1.0.0", "v1.1.0", "v1.2.0"):
        register_version("routine", release, alias=None, rows=120)
    registry = open_registry("routine")

    def served(release: str) -> bool:
        return was_served(registry, registry.by_release(release))

    assert not served("v1.1.0")
    promote(registry, "v1.0.0", "first")
    promote(registry, "v1.1.0", "second")
    rollback(registry, "worse")
    assert registry.by_release("v1.1.0").aliases == (names.PREVIOUS,)
    assert served("v1.1.0") and served("v1.0.0")
    assert not served("v1.2.0")


def test_more_at_risk_than_the_capacity_is_put_to_a_person(
    register_version: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """If only the capacity criterion failed, the question and the forced promotion are printed."""
    # `log_options` gives it a separate run, to which metrics are added.
    register_version("capacity", "v1.0.0", alias=None, rows=120, log_options={})
    registry = open_registry("capacity")
    version = registry.by_release("v1.0.0")
    for name, value in (("share_flagged", 0.7), ("positive_rate", 0.61), ("precision", 0.8)):
        registry.client.log_metric(version.run_id, f"test_{name}", value)
    registry.set_tag(version, "gate.recall", "passed: 0.9 (>= 0.75)")
    registry.set_tag(version, "gate.share_flagged", "failed: 0.7 (<= 0.60)")
    question = open_question(registry, registry.by_release("v1.0.0"))
    assert "61 estavam em defasagem" in question
    result = Registered("v1.0.0", 1, False, "headline", Path("report.md"), question=question)
    report_result(result)
    told = capsys.readouterr().out
    assert question in told
    assert "promote --model_version v1.0.0 --force --reason" in told
    registry.set_tag(version, "gate.recall", "failed: 0.6 (>= 0.75)")
    assert open_question(registry, registry.by_release("v1.0.0")) == ""
