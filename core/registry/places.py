"""Where versions are registered: at the tracking server, at another one, or in Unity Catalog.

MLflow calls the address `MLFLOW_REGISTRY_URI`; without it the tracking server registers, too. Runs,
reports, the ledger and what proxies say of themselves stay at the tracking server.
"""

from core.contract import names
from core.mlflow_client.errors import NotARegistry

UNITY = "databricks-uc"
"""Databricks' Unity Catalog: by itself, or followed by `://` and a profile of its own file."""


def is_unity(uri: str) -> bool:
    """Return whether an address is that of a Unity Catalog on Databricks."""
    return uri == UNITY or uri.startswith(f"{UNITY}://")


def is_registry(uri: str) -> bool:
    """Return whether an address could be that of a registry that our client speaks with."""
    return is_unity(uri) or names.is_server(uri)


def registry_uri() -> str:
    """Return the address of a registry of its own; empty where the tracking server is it, too.

    Raises:
        NotARegistry: the environment names something else.
    """
    uri = names.registry_uri()
    if uri and not is_registry(uri):
        raise NotARegistry()
    return uri
