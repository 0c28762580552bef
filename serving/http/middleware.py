"""Request middleware: request id, authentication, error responses, log record."""

from collections.abc import Callable, Collection, Mapping

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.messages import _
from serving.config.model_paths import plain
from serving.config.settings import ClientName
from serving.engine.context import RequestContext
from serving.errors import InternalError, RequestError
from serving.http.auth import ApiKeys
from serving.http.prefix import placed, without
from serving.telemetry.logs import JsonLog, RequestRecord, location, now

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
_UNKNOWN_PATH = "-"
_PROBE = "/ready"


class RequestMiddleware:
    """Outermost layer of the app, in plain ASGI since every request passes through it.

    Args:
        app: the wrapped app; the `RequestContext` is in its `scope["context"]`.
        root: path prefix under which a reverse proxy publishes this one; empty: none, or the value
            of `X-Forwarded-Prefix`.
        client: what identifies a client in the log: a short digest of the key, the address, or
            nothing.
        observe: called with each request's log record.
        paths: the app's own paths; the log shows no other, since a client may put data in a path.
        hot: by method and path, the endpoints that bypass `app` and its router.
    """

    def __init__(
        self,
        app: ASGIApp,
        log: JsonLog,
        keys: ApiKeys,
        paths: Collection[str],
        hot: Mapping[tuple[str, str], ASGIApp],
        observe: Callable[[RequestRecord], None],
        root: str = "",
        client: ClientName = "key",
    ) -> None:
        """Keep the parts."""
        self._observe, self._answered = observe, _("request answered")
        self._app, self._log, self._keys, self._paths = app, log, keys, paths
        self.hot, self._root, self._client = dict(hot), root, client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._root:
            scope = without(self._root, scope)
        headers = scope["headers"]
        proposed = next((value for name, value in headers if name == b"x-request-id"), None)
        context = scope["context"] = RequestContext(proposed)
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                context.status = message["status"]
                identity = (b"x-request-id", context.request_id.encode())
                message["headers"] = [*message.get("headers", ()), identity, *_HEADERS]
            await send(message)

        try:
            if self._client == "address" and scope.get("client"):
                # Behind a trusted proxy uvicorn has replaced it by the forwarded address.
                context.client = scope["client"][0]
            key = self._keys.check(scope["path"], headers)
            if self._client == "key":
                context.client = key
            hot = self.hot.get((scope["method"], scope["path"]))
            if hot is None:
                await self._app(placed(self._root, _as_get(scope)), receive, answer)
            else:
                await hot(scope, receive, answer)
        except Exception as exc:
            error = self._translate(context, exc)
            if not started:
                await send_error(error, context, answer)
        finally:
            record = self._record(scope, context)
            self._log.request(record)
            self._observe(record)

    def _translate(self, context: RequestContext, exc: Exception) -> RequestError:
        """Return the error to send, and set the context's message for the log."""
        if not isinstance(exc, RequestError):
            context.message = _("internal error: {where}", where=location(exc))
            return InternalError()
        context.message = _("request refused: {code}: {reason}", code=exc.code, reason=exc)
        if exc.status >= 500:
            cause = exc.__cause__
            context.message = str(exc) if cause is None else f"{exc.code}: {location(cause)}"
        return exc

    def _record(self, scope: Scope, context: RequestContext) -> RequestRecord:
        path = scope["path"]
        level = "INFO"
        # A readiness probe gets 503 at every start, which deserves no warning.
        if context.status >= 400 and plain(path) != _PROBE:
            level = "WARNING" if context.status < 500 else "ERROR"
        return RequestRecord(
            timestamp=now(),
            level=level,
            message=context.message or self._answered,
            request_id=context.request_id,
            method=scope["method"],
            path=path if path in self._paths else _UNKNOWN_PATH,
            status_code=context.status,
            latency_ms=context.elapsed_ms(),
            model_version=context.model_version,
            n_instances=context.n_instances,
            client=context.client,
        )


def _as_get(scope: Scope) -> Scope:
    """Return a HEAD request as the corresponding GET; the server omits the body."""
    return {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope


def error_body(error: RequestError, context: RequestContext) -> dict[str, object]:
    """Return the response body of an error, in the schema of all errors."""
    found = {"code": error.code, "message": str(error), "details": error.details}
    return {"error": found, "request_id": context.request_id}


async def send_error(error: RequestError, context: RequestContext, send: Send) -> None:
    """Send an error response."""
    body = msgspec.json.encode(error_body(error, context))
    extra = [(name.lower().encode(), value.encode()) for name, value in error.headers.items()]
    await send_json(error.status, body, send, extra)


async def send_json(
    status: int, body: bytes, send: Send, headers: Collection[tuple[bytes, bytes]] = ()
) -> None:
    """Send a complete response whose body is encoded JSON."""
    fixed = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})
    await send({"type": "http.response.body", "body": body})
