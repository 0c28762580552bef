"""Path prefix under which a reverse proxy publishes this one: `/risk` in `/risk/predict`.

The reverse proxy may strip the prefix (nginx with `proxy_pass http://api/`; Traefik's StripPrefix,
which sends it in `X-Forwarded-Prefix`) or keep it. Authentication, routing and the log use the
path without it; code that writes absolute links reads it from ASGI's `root_path`.
"""

from starlette.types import Scope

from serving.config.settings import PREFIX

_HEADER = b"x-forwarded-prefix"


def without(root: str, scope: Scope) -> Scope:
    """Return the scope with the prefix removed from its path, if it has it."""
    path: str = scope["path"]
    return {**scope, "path": path[len(root) :]} if path.startswith(f"{root}/") else scope


def placed(root: str, scope: Scope) -> Scope:
    """Return the scope with a prefix as ASGI defines it: in `root_path`, and before the path.

    The setting overrides the header; without either the scope is unchanged.
    """
    prefix = root or _forwarded(scope)
    return {**scope, "root_path": prefix, "path": prefix + scope["path"]} if prefix else scope


def _forwarded(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == _HEADER:
            prefix = value.decode("latin-1").partition(",")[0].strip().rstrip("/")
            # Validated: it is written into pages, and a client may forge the header.
            return prefix if PREFIX.fullmatch(prefix) else ""
    return ""
