"""The only conversion of exceptions of MLflow, its HTTP library or a server into our errors."""

import re
from collections.abc import Iterator

from core.mlflow_client.deadline import DeadlineError
from core.mlflow_client.errors import CallRejected, NotFound, RegistryError, RegistryUnreachable

_STATUS = re.compile(
    r"too many (\d{3}) error responses|failed with error code (\d{3})|"
    r"(\d{3}) (?:Client|Server) Error"
)
_BY_STATUS = {401: "unauthorized", 403: "forbidden", 404: "no_endpoint", 429: "limited"}
_BY_STATUS |= dict.fromkeys((502, 503, 504), "unavailable")
_BY_CODE = {"UNAUTHENTICATED": "unauthorized", "PERMISSION_DENIED": "forbidden"}
_BY_KIND = (
    ("tls", ("SSLError", "SSLCertVerificationError")),
    ("unknown_host", ("gaierror", "NameResolutionError")),
    # Before timeouts: urllib3 reports a refused connection as one.
    ("refused", ("ConnectionRefusedError", "Connection refused", "NewConnectionError")),
    ("timeout", ("DeadlineError", "TimeoutError", "ReadTimeoutError", "ConnectTimeoutError")),
    ("reset", ("ConnectionError", "ConnectionResetError", "ProtocolError", "IncompleteRead")),
)
"""Classes of the system's, urllib3's and our errors, by cause; also searched for in messages, since
MLflow collects the errors of a download as text."""
_LONGEST = 300


def translate(uri: str, call: str, exc: BaseException) -> RegistryError:
    """Return our error for an exception raised by a call to the server at `uri`.

    A `RestException` is a response of MLflow; anything else is a failure on the way to it.
    """
    if isinstance(exc, RegistryError):
        return exc
    code = str(getattr(exc, "error_code", ""))
    if code in _BY_CODE:
        return RegistryUnreachable(uri, _BY_CODE[code])
    absent = code == "RESOURCE_DOES_NOT_EXIST"
    if absent or type(exc).__name__ == "RestException":
        reason = (str(exc).splitlines() or [""])[0][:_LONGEST].removeprefix(f"{code}: ")
        kind = NotFound if absent else CallRejected
        return kind(call=call, reason=reason, mlflow_code=code)
    return _unreachable(uri, call, exc)


def is_foreign(exc: BaseException) -> bool:
    """Return whether an error comes from a request to a server, not from our own code or disk."""
    origin = type(exc).__module__.split(".")[0]
    ours = (DeadlineError, ConnectionError, TimeoutError)
    return origin in ("mlflow", "requests", "urllib3", "urllib") or isinstance(exc, ours)


def cause_of_status(status: int) -> str:
    """Return the cause of an HTTP status other than 200."""
    return _BY_STATUS.get(status, "redirect" if 300 <= status < 400 else "failed")


def _unreachable(uri: str, call: str, exc: BaseException) -> RegistryError:
    chain = list(_chain(exc))
    for error in chain:
        status, of_file = _status(error)
        if status == 404 and of_file:
            return NotFound(call=call, reason="HTTP 404", mlflow_code="")
        if status is not None:
            return RegistryUnreachable(uri, cause_of_status(status), status=status)
    named = {base.__name__ for error in chain for base in type(error).__mro__}
    for cause, kinds in _BY_KIND:
        if named & set(kinds) or any(kind in str(exc) for kind in kinds):
            return RegistryUnreachable(uri, cause)
    if (
        "not in a valid JSON" in str(exc)
        or isinstance(exc, ValueError | KeyError)
        or "ParseError" in named  # protobuf's, for JSON of another structure
    ):
        return RegistryUnreachable(uri, "not_mlflow")
    return RegistryUnreachable(uri, "failure", kind=type(exc).__name__)


def _status(error: BaseException) -> tuple[int | None, bool]:
    """Return the HTTP status in an error, and whether the request was for a file."""
    response = getattr(error, "response", None)
    if response is not None:
        return int(response.status_code), True
    found = _STATUS.search(str(error))
    status = next((int(text) for text in found.groups() if text), None) if found else None
    return status, bool(found and found[3])


def _chain(exc: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, some of which are only arguments of another."""
    seen: list[BaseException] = []
    waiting: list[object] = [exc]
    while waiting:
        error = waiting.pop(0)
        if not isinstance(error, BaseException) or any(error is one for one in seen):
            continue
        seen.append(error)
        yield error
        waiting += [error.__cause__, error.__context__, getattr(error, "reason", None), *error.args]
