"""URL path of each of several models, `/models/<name>/...`, and the model's word in file names."""

import hashlib
import re

_PREFIX = re.compile(r"/models/[^/]+(?=/)")


def prefix_of(name: str) -> str:
    """Return the URL path prefix of a model."""
    return f"/models/{name}"


def file_word(name: str) -> str:
    """Return 12 hexadecimal digits that identify a model in file names, safe for any model name."""
    return hashlib.sha256(name.encode()).hexdigest()[:12]


def plain(path: str) -> str:
    """Return a path without the prefix of a model, if it has one."""
    return _PREFIX.sub("", path, count=1) if path.startswith("/models/") else path
