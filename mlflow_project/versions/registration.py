"""A model from elsewhere becomes a version of the registry: whole and tried, or not at all."""

import contextlib
import io
from collections.abc import Mapping

import mlflow

from mlflow_project.versions.registry import Registry, Version
from mlflow_project.versions.trial import try_version


def register_tried(
    registry: Registry, model_uri: str, tags: Mapping[str, str], description: str
) -> Version:
    """Register a logged model with all its tags at once, and load it as a server would.

    Raises:
        Refused: it does not load or does not give its example's score; it is removed again.
    """
    # What MLflow prints there is for whoever called it, and that is not the operator.
    with contextlib.redirect_stderr(io.StringIO()):
        number = mlflow.register_model(model_uri, registry.name, tags=dict(tags)).version
    try:
        registry.client.update_model_version(registry.name, number, description)
        version = next(v for v in registry.versions() if v.number == int(number))
        try_version(version)
    except BaseException:
        registry.client.delete_model_version(registry.name, number)
        raise
    return version
