"""Error types of the proxy. None of them repeats a value that a client sent.

ServingError
├── SettingsError               the process cannot start as configured
├── ChildFailed                 a child process ended before it was done
│   ├── ConversionFailed        the conversion of journals
│   └── CompactionFailed        the compaction of the store
├── ChildHung                   a child process without a sign of progress was ended
│   ├── ConversionHung
│   └── CompactionHung
├── CompactionUndone            the store could not be compacted
├── CacheDamaged                the local copy of the last good version fails its digest
├── FileRefused                 a file to be scored cannot be read, or has invalid rows
└── RequestError                an error response; its subclasses are in order of status
"""

from collections.abc import Mapping, Sequence
from typing import Any

from core.errors import ProjectError
from core.messages import N_, _, ngettext


class ServingError(ProjectError):
    """Base class of the proxy's errors."""


class SettingsError(ServingError):
    """An environment variable with an invalid value; `problem` states what it must be."""

    code = "invalid_setting"
    message = N_("invalid configuration: {variable} {problem} (see .env.example)")


class ChildFailed(ServingError):
    """A child process ended before it was done."""

    by_signal = ""

    def __init__(self, code: int) -> None:
        """Keep the exit code, or the signal's number where `code` is negative."""
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
    """A child process gave no sign of progress for `seconds` and was ended."""


class CompactionHung(ChildHung):
    """The process that compacts the store gave no sign of progress for `seconds` and was ended."""

    code = "compaction_hung"
    message = N_(
        "the daily compaction stood still for {seconds} s and was ended; it is tried again"
    )


class CompactionUndone(ServingError):
    """The store could not be read or changed; fact: the `reason`."""

    code = "compaction_undone"
    message = N_("the daily compaction failed: {reason}")


class ConversionHung(ChildHung):
    """The process that converts journals gave no sign of progress for `seconds` and was ended."""

    code = "conversion_hung"
    message = N_(
        "the conversion of journals to Parquet stood still for {seconds} s and was ended; "
        "it is tried again"
    )


class CacheDamaged(ServingError):
    """Files of the local cache are missing or changed."""

    code = "cache_damaged"
    message = N_("the local copy in {folder} is not what was kept")

    def __init__(self, folder: object) -> None:
        """Keep the folder."""
        super().__init__(folder=folder)


class FileRefused(ServingError):
    """A file that cannot be scored; `problem` is a sentence."""

    code = "file_refused"
    message = "{problem}"


class RequestError(ServingError):
    """An error response: HTTP status, stable code, human-readable message, details."""

    status = 500
    code = "internal_error"
    headers: Mapping[str, str] = {}

    def __init__(self, details: Sequence[Mapping[str, Any]] = (), **facts: Any) -> None:
        """Keep the details, each JSON-serialisable, and the facts of the message."""
        super().__init__(**facts)
        self.details = details


class MalformedBody(RequestError):
    """The body is not JSON; `position` is where, and the content is never repeated."""

    status, code = 400, "invalid_json"
    message = N_("the body is not valid JSON in UTF-8; expected: {expected}")

    def __init__(self, position: int | None = None) -> None:
        """Keep the position, where it is known."""
        super().__init__(position=position, expected='{"instances": [{...}]}')
        if position is not None:
            self.message = N_(
                "the body is not valid JSON in UTF-8 from position {position} on; "
                "expected: {expected}"
            )


class DuplicateKey(RequestError):
    """An object of the body repeats a key: JSON parsers differ in which value they keep."""

    status, code = 400, "duplicate_key"
    message = N_("the body gives {field} twice in one object; give each key once")

    def __init__(self, field: str) -> None:
        """Keep the key as far as it may be shown (`serving.protocol.problems`)."""
        problem = {"problem": _("given twice"), "allowed": _("each key once")}
        super().__init__([{"instance": None, "field": field, **problem}], field=field)


class Unauthorized(RequestError):
    """The API key is missing or unknown, or there are several."""

    status, code = 401, "unauthorized"
    message = N_(
        "the key is missing or unknown; send X-API-Key: <key> or Authorization: Bearer <key>"
    )

    def __init__(self, *, browser: bool = False, several: bool = False) -> None:
        """Set `WWW-Authenticate`: Basic for a browser's page, so that it prompts; else Bearer."""
        if several:
            self.message = N_("send one key, in one header")
        scheme = 'Basic realm="painel", charset="UTF-8"' if browser else "Bearer"
        self.headers = {"WWW-Authenticate": scheme}
        super().__init__()


class RouteError(RequestError):
    """The router has no such path, or the path no such method."""

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
    """The body is compressed: its length is not known before it is decompressed."""

    status, code = 415, "unsupported_content_encoding"
    headers = {"Accept-Encoding": "identity"}  # noqa: RUF012 (never changed)
    message = N_("send the body as it is, without Content-Encoding")


class InvalidInstances(RequestError):
    """Instances that violate the contract; all problems are reported, up to a limit."""

    status, code = 422, "validation_failed"

    def __init__(self, details: Sequence[Mapping[str, Any]], total: int) -> None:
        """Keep the total of problems; `details` may hold only the first of them."""
        super().__init__(details)
        self.total = total

    def __str__(self) -> str:
        """Return the number of problems, and how many of them are in the details."""
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
        """Keep the kind of failure, not its text, which may contain data."""
        super().__init__(kind=kind)


class InternalError(RequestError):
    """An unexpected exception."""

    message = N_("internal error; look for the request_id in the log")


class NotReady(RequestError):
    """No version is loaded yet; `reason` states why."""

    status, code = 503, "not_ready"
    headers = {"Retry-After": "1"}  # noqa: RUF012 (never changed)
    message = N_("no model loaded: {reason}")


class Overloaded(RequestError):
    """More rows wait than `MAX_PENDING_ROWS` allows, or bodies exceed a worker's limits."""

    status, code = 503, "overloaded"
    headers = {"Retry-After": "1"}  # noqa: RUF012 (never changed)
    message = N_("too many rows are waiting to be scored; try again")


class HistoryUnavailable(RequestError):
    """MLflow's runs and versions cannot be read now."""

    status, code = 503, "registry_unreachable"
    headers = {"Retry-After": "5"}  # noqa: RUF012 (never changed)
    message = N_("MLflow does not answer; try again when it is back")


class CaptureFailed(RequestError):
    """The response cannot be captured, and `CAPTURE_REQUIRED` is set."""

    status, code = 503, "capture_failed"
    headers = {"Retry-After": "5"}  # noqa: RUF012 (never changed)
    message = N_(
        "the prediction could not be recorded and was not answered (CAPTURE_REQUIRED=true); "
        "check the server's disk"
    )
