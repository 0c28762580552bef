"""Unity Catalog's registry where it differs from an MLflow server's.

Its search supports neither conditions (other than a model's name) nor an order, and returns neither
tags nor aliases; names have three parts. MLflow's client raises on unsupported arguments.
"""

import os
from typing import Any

from core.mlflow_client.client import Client, paged
from core.mlflow_client.errors import UnityName

_DOT = "__"


def check_name(name: str) -> None:
    """Check that a name has three parts.

    Raises:
        UnityName: it has not.
    """
    parts = name.split(".")
    if len(parts) != 3 or not all(parts):
        raise UnityName(name=name)


def written(key: str) -> str:
    """Return a tag's key with its dots escaped: Unity Catalog allows none (nor , - = / :)."""
    return key.replace(".", _DOT)


def read(key: str) -> str:
    """Return the original of a key that `written` escaped."""
    return key.replace(_DOT, ".")


def page(name: str, number: int) -> str:
    """Return the address of a version's page; empty where `DATABRICKS_HOST` is not known."""
    host = os.environ.get("DATABRICKS_HOST", "").rstrip("/")
    return f"{host}/explore/data/models/{name.replace('.', '/')}/version/{number}" if host else ""


def newest_versions(client: Client, name: str, last: int | None) -> list[Any]:
    """Return the `last` versions of a model, or all of them, newest first.

    Each is read by its number, since only that response includes tags.
    """
    found = paged(lambda token: client.search_model_versions(f"name='{name}'", page_token=token))
    numbers = sorted((int(one.version) for one in found), reverse=True)[:last]
    return [client.get_model_version(name, str(number)) for number in numbers]
