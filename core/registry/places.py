"""Location of the model registry: the tracking server, another server, or Unity Catalog.

Its address is MLflow's `MLFLOW_REGISTRY_URI`; without it the tracking server is the registry, too.
Runs, monitoring reports, the ledger and the proxies' reports stay at the tracking server.
"""

from core.contract import names
from core.mlflow_client.errors import NotARegistry

UNITY = "databricks-uc"
"""Databricks' Unity Catalog: alone, or followed by `://` and a profile of Databricks' own file."""


def is_unity(uri: str) -> bool:
    """Return whether an address is that of a Unity Catalog on Databricks."""
    return uri == UNITY or uri.startswith(f"{UNITY}://")


def is_registry(uri: str) -> bool:
    """Return whether an address is one of a registry that our client supports."""
    return is_unity(uri) or names.is_server(uri)


def registry_uri() -> str:
    """Return the address of a separate registry; empty where the tracking server is the registry.

    Raises:
        NotARegistry: the environment names something else.
    """
    uri = names.registry_uri()
    if uri and not is_registry(uri):
        raise NotARegistry()
    return uri
