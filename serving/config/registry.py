"""The registry that the settings name, for one alias."""

from core.registry.versions import Registry
from serving.config.settings import Settings


def registry_of(settings: Settings, alias: str) -> Registry:
    """Return the registry of the settings' model at an alias; no request is sent."""
    uri, place = settings.mlflow_tracking_uri, settings.mlflow_registry_uri
    return Registry(settings.model_name, uri, alias, place)
