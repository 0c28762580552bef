"""Errors of the proxy, as facts. None of them repeats a value that a client sent.

ServingError
├── SettingsError               the process cannot start as configured
├── ChildFailed                 a process of ours ended before it was done
│   ├── ConversionFailed        that which converts journals
│   └── CompactionFailed        that which compacts the store
├── ChildHung                   it said nothing for too long and was ended
│   ├── ConversionHung
│   └── CompactionHung
├── CompactionUndone            the store could not be compacted
├── CacheDamaged                the local copy of the last good version is not what was kept
├── FileRefused                 a file to be scored cannot be read, or holds what cannot be scored
└── RequestError                an answer to the client; its kinds stand by their status
"""

from collections.abc import Mapping, Sequence
from typing import Any

from core.errors import ProjectError
from core.messages import N_, _, ngettext


class ServingError(ProjectError):
    """Root of the proxy's own errors."""


class SettingsError(ServingError):
    """An environment variable that cannot be used; `problem` says what it must be."""

    code = "invalid_setting"
    message = N_("invalid configuration: {variable} {problem} (see .env.example)")


class ChildFailed(ServingError):
    """A process of ours ended before it was done."""

    by_signal = ""

    def __init__(self, code: int) -> None:
        """Name its exit code, or the signal that ended it."""
        super().__init__(number=abs(code))
        if code < 0:
            self.message = self.by_signal


class ConversionFailed(ChildFailed):
    """The process that converts journals ended before it was done."""

    code = "conversion_failed"
    message = N_("the conversion of journals to Parquet ended with exit code {number}")
    by_signal = N_("the conversion of journals to Parquet ended by signal {number}")


class CompactionFailed(ChildFailed):
    """The process that compacts the store ended before it was done."""

    code = "compaction_failed"
    message = N_("the daily compaction ended with exit code {number}")
    by_signal = N_("the daily compaction ended by signal {number}")


class ChildHung(ServingError):
    """A process of ours said nothing for `seconds` and was ended."""


class CompactionHung(ChildHung):
    """The process that compacts the store said nothing for `seconds` and was ended."""

    code = "compaction_hung"
    message = N_(
        "the daily compaction stood still for {seconds} s and was ended; it is tried again"
    )


class CompactionUndone(ServingError):
    """The store could not be read or changed; fact: the `reason`."""

    code = "compaction_undone"
    message = N_("the daily compaction failed: {reason}")


class ConversionHung(ChildHung):
    """The process that converts journals said nothing for `seconds` and was ended."""

    code = "conversion_hung"
    message = N_(
        "the conversion of journals to Parquet stood still for {seconds} s and was ended; "
        "it is tried again"
    )


class CacheDamaged(ServingError):
    """Files of the local cache that are gone or changed."""

    code = "cache_damaged"
    message = N_("the local copy in {folder} is not what was kept")

    def __init__(self, folder: object) -> None:
        """Name the folder."""
        super().__init__(folder=folder)


class FileRefused(ServingError):
    """A file that cannot be scored; `problem` is a sentence."""

    code = "file_refused"
    message = "{problem}"


class RequestError(ServingError):
    """An answer other than 200: HTTP status, stable code, message for people, details."""

    status = 500
    code = "internal_error"
    headers: Mapping[str, str] = {}

    def __init__(self, details: Sequence[Mapping[str, Any]] = (), **facts: Any) -> None:
        """Keep the details, each plain data, and the facts of the message."""
        super().__init__(**facts)
        self.details = details


class MalformedBody(RequestError):
    """The body is not JSON; `position` says where, never what."""

    status, code = 400, "invalid_json"
    message = N_("the body is not valid JSON in UTF-8; expected: {expected}")

    def __init__(self, position: int | None = None) -> None:
        """Say where, never what."""
        super().__init__(position=position, expected='{"instances": [{...}]}')
        if position is not None:
            self.message = N_(
                "the body is not valid JSON in UTF-8 from position {position} on; "
                "expected: {expected}"
            )


class DuplicateKey(RequestError):
    """An object of the body has a key twice: readers differ in which one counts."""

    status, code = 400, "duplicate_key"
    message = N_("the body gives {field} twice in one object; give each key once")

    def __init__(self, field: str) -> None:
        """Name the key as far as it can be shown (`serving.protocol.problems`)."""
        problem = {"problem": _("given twice"), "allowed": _("each key once")}
        super().__init__([{"instance": None, "field": field, **problem}], field=field)


class Unauthorized(RequestError):
    """The key is missing or unknown."""

    status, code = 401, "unauthorized"
    message = N_(
        "the key is missing or unknown; send X-API-Key: <key> or Authorization: Bearer <key>"
    )

    def __init__(self, *, browser: bool = False, several: bool = False) -> None:
        """Say how a key is sent; for a page of a browser, in the way that makes it ask."""
        if several:
            self.message = N_("send one key, in one header")
        scheme = 'Basic realm="painel", charset="UTF-8"' if browser else "Bearer"
        self.headers = {"WWW-Authenticate": scheme}
        super().__init__()


class RouteError(RequestError):
    """The router has no such path or method."""

    def __init__(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        """Keep the router's status and its headers."""
        self.status, self.headers = status, dict(headers or {})
        allowed = self.headers.get("Allow") or self.headers.get("allow")
        super().__init__(allowed=allowed)
        self.code, self.message = _ROUTING.get(status, ("http_error", N_("request not answered")))


_ROUTING = {
    404: ("not_found", N_("there is no such route")),
    405: ("method_not_allowed", N_("the method is not allowed; use {allowed}")),
}


class BodyTooSlow(RequestError):
    """The body did not arrive within `seconds`."""

    status, code = 408, "body_too_slow"
    headers = {"Connection": "close"}  # noqa: RUF012 (the rest of the body is not read)
    message = N_("the body did not arrive whole within {seconds} seconds")


class BodyTooLarge(RequestError):
    """The body is longer than `limit` bytes."""

    status, code = 413, "body_too_large"
    headers = {"Connection": "close"}  # noqa: RUF012 (the rest of the body is not read)
    message = N_("the body exceeds {limit} bytes; split the instances over more requests")


class UnsupportedMediaType(RequestError):
    """The body's `Content-Type` is none of those `accepted` here."""

    status, code = 415, "unsupported_media_type"
    message = N_("send Content-Type: {accepted}, in UTF-8")


class UnsupportedEncoding(RequestError):
    """The body is compressed: nobody could say how long it is before it was unpacked."""

    status, code = 415, "unsupported_content_encoding"
    headers = {"Accept-Encoding": "identity"}  # noqa: RUF012 (never changed)
    message = N_("send the body as it is, without Content-Encoding")


class InvalidInstances(RequestError):
    """Instances that do not fit the contract; all problems at once, up to a limit."""

    status, code = 422, "validation_failed"

    def __init__(self, details: Sequence[Mapping[str, Any]], total: int) -> None:
        """Count the problems; the details may be only the first of them."""
        super().__init__(details)
        self.total = total

    def __str__(self) -> str:
        """Return the count."""
        text = ngettext("{n} problem in the request", "{n} problems in the request", self.total)
        if self.total == len(self.details):
            return text
        return _("{problems}; the first {n} are in details", problems=text, n=len(self.details))


class HeadersTooLarge(RequestError):
    """The request line and the headers are longer than `limit` bytes."""

    status, code = 431, "headers_too_large"
    message = N_("the headers exceed {limit} bytes")


class ScoringFailed(RequestError):
    """The model raised or gave no finite score."""

    status, code = 500, "scoring_failed"
    message = N_("the model failed to score ({kind})")

    def __init__(self, kind: str) -> None:
        """Name the kind of failure, not its text, which may hold data."""
        super().__init__(kind=kind)


class InternalError(RequestError):
    """Anything unforeseen."""

    message = N_("internal error; look for the request_id in the log")


class NotReady(RequestError):
    """No version is loaded yet; `reason` says what is being waited for."""

    status, code = 503, "not_ready"
    headers = {"Retry-After": "1"}  # noqa: RUF012 (never changed)
    message = N_("no model loaded: {reason}")


class Overloaded(RequestError):
    """More rows wait than `MAX_PENDING_ROWS` allows."""

    status, code = 503, "overloaded"
    headers = {"Retry-After": "1"}  # noqa: RUF012 (never changed)
    message = N_("too many rows are waiting to be scored; try again")


class HistoryUnavailable(RequestError):
    """What MLflow keeps cannot be read now."""

    status, code = 503, "registry_unreachable"
    headers = {"Retry-After": "5"}  # noqa: RUF012 (never changed)
    message = N_("MLflow does not answer; try again when it is back")


class CaptureFailed(RequestError):
    """The answer cannot be captured, and `CAPTURE_REQUIRED` asks that every answer be."""

    status, code = 503, "capture_failed"
    headers = {"Retry-After": "5"}  # noqa: RUF012 (never changed)
    message = N_(
        "the prediction could not be recorded and was not answered (CAPTURE_REQUIRED=true); "
        "check the server's disk"
    )
