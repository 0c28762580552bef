"""Unity Catalog's registry where it differs from an MLflow server's.

Its search knows neither conditions nor an order and says no tags and no aliases, a model is asked
for by its name, and names have three parts. MLflow's client raises on what it does not know.
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
    """Return a tag's key as Unity Catalog takes it, which allows no dot (nor , - = / :) in one."""
    return key.replace(".", _DOT)


def read(key: str) -> str:
    """Return the key that `written` wrote."""
    return key.replace(_DOT, ".")


def page(name: str, number: int) -> str:
    """Return the address of a version's page; empty where `DATABRICKS_HOST` is not known."""
    host = os.environ.get("DATABRICKS_HOST", "").rstrip("/")
    return f"{host}/explore/data/models/{name.replace('.', '/')}/version/{number}" if host else ""


def newest_versions(client: Client, name: str, last: int | None) -> list[Any]:
    """Return the `last` versions of a model, or all of them, newest first.

    Each is asked for by its number: only so it has tags.
    """
    found = paged(lambda token: client.search_model_versions(f"name='{name}'", page_token=token))
    numbers = sorted((int(one.version) for one in found), reverse=True)[:last]
    return [client.get_model_version(name, str(number)) for number in numbers]
