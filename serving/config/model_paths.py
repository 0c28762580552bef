"""`/models/<name>/...`: where each of several models is served, by the paths of a model alone."""

import re

_PREFIX = re.compile(r"/models/[^/]+(?=/)")


def prefix_of(name: str) -> str:
    """Return what precedes the paths of a model."""
    return f"/models/{name}"


def plain(path: str) -> str:
    """Return a path as it would be of a model alone."""
    return _PREFIX.sub("", path, count=1) if path.startswith("/models/") else path
