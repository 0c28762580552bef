"""API keys: hashed at start, compared in constant time."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Sequence

from serving.config.model_paths import plain
from serving.errors import Unauthorized

OPEN_PATHS = frozenset({"/health", "/ready", "/ping"})
"""Paths that need no key, so that a load balancer can look."""

DOCS, OPENAPI, DOCS_FILES = "/docs", "/openapi.json", "/static-offline-docs"
"""The API's documentation, and what its page fetches."""
NAME_DIGITS = 8
"""Digits of a key's SHA-256 that stand for it in the log."""


class ApiKeys:
    """The accepted keys, as SHA-256 digests; none leaves everything open.

    Browsers send no header of their own, so `pages`, the API's documentation and what is under them
    also take the key as the password of HTTP Basic. Nothing else does: a browser sends those by
    itself.
    """

    def __init__(self, digests: Sequence[bytes], pages: Iterable[str] = ()) -> None:
        """Keep the digests, and the paths of pages."""
        self._digests = tuple(digests)
        self._pages = (*pages, DOCS, OPENAPI, DOCS_FILES)

    def check(self, path: str, headers: Sequence[tuple[bytes, bytes]]) -> str | None:
        """Let a request pass; return what its key is called in the log, None without one.

        Raises:
            Unauthorized: the path needs a key, and none of the accepted ones or several came.
        """
        path = plain(path)
        if not self._digests or path in OPEN_PATHS:
            return None
        browser = self._is_page(path)
        presented = _presented(headers, basic=browser)
        if len(presented) > 1:
            raise Unauthorized(browser=browser, several=True)
        given = hashlib.sha256(b"".join(presented)).digest()
        # All are compared, so the time does not tell which one came close.
        matches = [hmac.compare_digest(given, digest) for digest in self._digests]
        if not any(matches):
            raise Unauthorized(browser=browser)
        return given.hex()[:NAME_DIGITS]

    def _is_page(self, path: str) -> bool:
        """Tell whether a path is one that browsers open, or fetch for a page."""
        return any(path == page or path.startswith(f"{page}/") for page in self._pages)


def _presented(headers: Sequence[tuple[bytes, bytes]], *, basic: bool) -> list[bytes]:
    """Return the keys in `X-API-Key` and `Authorization` headers."""
    found = [value.strip() for name, value in headers if name == b"x-api-key"]
    for value in (value for name, value in headers if name == b"authorization"):
        scheme, _, token = value.partition(b" ")
        if basic and scheme.lower() == b"basic":
            found.append(_password(token))
        elif scheme.lower() == b"bearer":
            found.append(token.strip())
    return found


def _password(token: bytes) -> bytes:
    """Return the password of Basic credentials; any user name will do."""
    try:
        return base64.b64decode(token.strip(), validate=True).partition(b":")[2].strip()
    except binascii.Error:
        return b""
