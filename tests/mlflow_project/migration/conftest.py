"""Fixtures of the migration tests."""

import mlflow
import pytest

from core.registry.versions import Registry, open_registry


@pytest.fixture
def registry(
    mlflow_server: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Registry:
    """Return the registry of this test's model, without versions."""
    module = request.module.__name__.rpartition(".")[2]
    monkeypatch.setenv("MODEL_NAME", f"{module}-{abs(hash(request.node.name)):x}")
    mlflow.set_tracking_uri(mlflow_server)
    return open_registry()
