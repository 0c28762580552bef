"""API keys: hashed at start, compared in constant time."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Sequence

from serving.config.model_paths import plain
from serving.errors import Unauthorized

OPEN_PATHS = frozenset({"/health", "/ready", "/ping"})
"""Paths that need no key, for the health checks of load balancers."""

DOCS, OPENAPI, DOCS_FILES = "/docs", "/openapi.json", "/static-offline-docs"
"""Paths of the API's documentation, and of what its page fetches."""
NAME_DIGITS = 8
"""Hexadecimal digits of a key's SHA-256 that identify it in the log."""


class ApiKeys:
    """The accepted keys, as SHA-256 digests; without any, no path needs a key.

    Browsers cannot add a header to a page's request, so `pages`, the API's documentation and the
    paths below them also accept the key as the password of HTTP Basic. No other path does: a
    browser attaches such credentials by itself.
    """

    def __init__(self, digests: Sequence[bytes], pages: Iterable[str] = ()) -> None:
        """Keep the digests, and the paths of pages."""
        self._digests = tuple(digests)
        self._pages = (*pages, DOCS, OPENAPI, DOCS_FILES)

    def check(self, path: str, headers: Sequence[tuple[bytes, bytes]]) -> str | None:
        """Authenticate a request; return the log's id of its key, None where no key is needed.

        Raises:
            Unauthorized: the path needs a key, and the request has no accepted key, or several.
        """
        path = plain(path)
        if not self._digests or path in OPEN_PATHS:
            return None
        browser = self._is_page(path)
        presented = _presented(headers, basic=browser)
        if len(presented) > 1:
            raise Unauthorized(browser=browser, several=True)
        given = hashlib.sha256(b"".join(presented)).digest()
        # All digests are compared, so that the time does not reveal which one matched.
        matches = [hmac.compare_digest(given, digest) for digest in self._digests]
        if not any(matches):
            raise Unauthorized(browser=browser)
        return given.hex()[:NAME_DIGITS]

    def _is_page(self, path: str) -> bool:
        """Return whether a path is one that browsers open, or fetch for a page."""
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
    """Return the password of Basic credentials; any user name is accepted."""
    try:
        return base64.b64decode(token.strip(), validate=True).partition(b":")[2].strip()
    except binascii.Error:
        return b""
