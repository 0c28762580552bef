"""Registration of a logged model as a version, at the tracking server or a separate registry."""

import contextlib
import io
from collections.abc import Mapping
from urllib.parse import urlsplit

from core.mlflow_client.client import TRANSFER_SECONDS
from core.mlflow_client.errors import CallRejected, NotPortable, without_credentials
from core.registry.places import is_unity
from core.registry.versions import Registry

_SERVERS_OWN = ("mlflow-artifacts", "http", "https", "file")
"""Schemes of files behind the tracking server, which no other server accepts, unlike a bucket's."""


def register(registry: Registry, model_uri: str, tags: Mapping[str, str]) -> int:
    """Register a logged model with all its tags in one request; return the version's number.

    `model_uri` is `models:/m-...` of the tracking server.

    Raises:
        NotPortable: the registry's server does not accept files at their location.
    """
    tags = {registry.tag(key): value for key, value in tags.items()}
    if registry.client.is_split and not is_unity(registry.place):
        return _from_elsewhere(registry, model_uri.removeprefix("models:/"), tags)

    def work() -> int:
        import mlflow

        return int(mlflow.register_model(model_uri, registry.name, tags=tags).version)

    # MLflow prints on standard error, in English, what the commands print themselves.
    with contextlib.redirect_stderr(io.StringIO()):
        return registry.client.call(work, "register_model", TRANSFER_SECONDS, repeat=False)


def _from_elsewhere(registry: Registry, model_id: str, tags: Mapping[str, str]) -> int:
    """Register by the files' location, since that server does not have the logged model."""
    client = registry.client
    logged = client.get_logged_model(model_id)
    location = str(logged.artifact_location)
    scheme = urlsplit(location).scheme or "file"
    if scheme in _SERVERS_OWN:
        raise NotPortable(place=without_credentials(registry.place), scheme=scheme)
    try:
        client.create_registered_model(registry.name)
    except CallRejected as exc:
        if exc.facts["mlflow_code"] != "RESOURCE_ALREADY_EXISTS":
            raise
    made = client.create_model_version(
        registry.name, location, run_id=logged.source_run_id, tags=dict(tags)
    )
    return int(made.version)
