"""When a retraining promotes: what was champion once is not made champion again by itself."""

from collections.abc import Callable

from core.contract import names
from core.registry.versions import open_registry
from mlflow_project.retrain import was_served
from mlflow_project.versions.promotion import promote, rollback


def test_a_version_that_was_rolled_back_counts_as_served(
    register_version: Callable[..., int],
) -> None:
    """The ledger remembers it after the alias has gone; a version never promoted is not there."""
    for release in ("v1.0.0", "v1.1.0", "v1.2.0"):
        register_version("routine", release, alias=None, rows=120)
    registry = open_registry("routine")
    assert not was_served(registry, "v1.1.0")
    promote(registry, "v1.0.0", "first")
    promote(registry, "v1.1.0", "second")
    rollback(registry, "worse")
    assert registry.by_release("v1.1.0").aliases == (names.PREVIOUS,)
    assert was_served(registry, "v1.1.0") and was_served(registry, "v1.0.0")
    assert not was_served(registry, "v1.2.0")
