"""Where each of several models is served, `/models/<name>/...`, and what its files are called."""

import hashlib
import re

_PREFIX = re.compile(r"/models/[^/]+(?=/)")


def prefix_of(name: str) -> str:
    """Return what precedes the paths of a model."""
    return f"/models/{name}"


def file_word(name: str) -> str:
    """Return what stands for a model in names of files, whatever it is called."""
    return hashlib.sha256(name.encode()).hexdigest()[:12]


def plain(path: str) -> str:
    """Return a path as it would be of a model alone."""
    return _PREFIX.sub("", path, count=1) if path.startswith("/models/") else path
