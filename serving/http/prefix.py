"""A path prefix: this proxy published as `/risk/predict` by a reverse proxy in front of it.

What is in front may take the prefix off (nginx with `proxy_pass http://api/`; Traefik's
StripPrefix, which tells of it in `X-Forwarded-Prefix`) or leave it on. Keys, routes and the log see
the path without it; whoever writes a link that is not relative finds it in ASGI's `root_path`.
"""

from starlette.types import Scope

from serving.config.settings import PREFIX

_HEADER = b"x-forwarded-prefix"


def without(root: str, scope: Scope) -> Scope:
    """Return the request with the prefix taken off its path, if it is there."""
    path: str = scope["path"]
    return {**scope, "path": path[len(root) :]} if path.startswith(f"{root}/") else scope


def placed(root: str, scope: Scope) -> Scope:
    """Return the request as ASGI tells of a prefix: in `root_path`, and before the path.

    The setting wins over the header; without either the request stays as it is.
    """
    prefix = root or _forwarded(scope)
    return {**scope, "root_path": prefix, "path": prefix + scope["path"]} if prefix else scope


def _forwarded(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == _HEADER:
            prefix = value.decode("latin-1").partition(",")[0].strip().rstrip("/")
            # It is written into pages, and a client may send the header itself.
            return prefix if PREFIX.fullmatch(prefix) else ""
    return ""
