"""Register a model as a version under a free release; it is removed if its trial fails."""

import contextlib
import io
from collections.abc import Mapping

from core.contract import names
from core.contract.model import RELEASE
from core.messages import N_
from core.registry.registering import register
from core.registry.versions import Registry, Version
from mlflow_project.versions.errors import Refused
from mlflow_project.versions.trial import try_version


def next_release(registry: Registry, requested: str | None = None, *, major: bool = False) -> str:
    """Return the release for a new version: `requested`, else the next minor, first v1.0.0.

    With `major`, the next major: the new contract breaks clients of the newest one.

    Raises:
        Refused: the requested release is malformed or already taken.
    """
    taken = {v.release for v in registry.versions() if names.TAG_RELEASE in v.tags}
    if requested:
        if not RELEASE.fullmatch(requested):
            raise Refused(N_("{text!r} is not of the form v1.2.0"), text=requested)
        if requested in taken:
            raise Refused(N_("Version {release} exists; choose another."), release=requested)
        return requested
    numbers = [tuple(map(int, release.removeprefix("v").split("."))) for release in taken]
    if not numbers:
        return "v1.0.0"
    highest, minor, _ = max(numbers)
    return f"v{highest + 1}.0.0" if major else f"v{highest}.{minor + 1}.0"


def register_tried(
    registry: Registry, model_uri: str, tags: Mapping[str, str], description: str
) -> Version:
    """Register a logged model with all its tags at once, and load it as a server would.

    Raises:
        Refused: it does not load or does not give its example's score; it is removed again.
    """
    # MLflow's messages on stderr are meant for its caller, not for the operator.
    with contextlib.redirect_stderr(io.StringIO()):
        number = register(registry, model_uri, tags)
    try:
        registry.client.update_model_version(registry.name, str(number), description)
        version = registry.find(number)
        assert version is not None  # noqa: S101 (registered just now)
        try_version(registry, version)
    except BaseException:
        registry.client.delete_model_version(registry.name, str(number))
        raise
    return version
