"""Faulty servers: each answers every request in one wrong way."""

import socket
import struct
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class WrongServer(ThreadingHTTPServer):
    """A server that answers each request by `answer`, called with the handler; counts requests."""

    daemon_threads = True

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler], None]) -> None:
        """Listen on a free port."""
        self.answer, self.asked = answer, 0
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def uri(self) -> str:
        """Return the server's address."""
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect."""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, WrongServer)
        server.asked += 1
        server.answer(self)

    do_POST = do_PATCH = do_PUT = do_GET  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Log nothing."""


def answering(status: int, body: bytes = b"", **headers: str) -> Callable[[Any], None]:
    """Return a handler that responds with a status, a body and headers (`_` for `-`)."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def hanging(handler: BaseHTTPRequestHandler) -> None:
    """Accept the request and never answer it."""
    time.sleep(60)


def well(handler: BaseHTTPRequestHandler) -> None:
    """Answer `/health` with 200 and hang on all else, as MLflow does with a locked database."""
    (answering(200, b"OK") if handler.path == "/health" else hanging)(handler)


def dripping(handler: BaseHTTPRequestHandler) -> None:
    """Send one byte per second, so that no socket timeout is reached."""
    handler.send_response(200)
    handler.send_header("Content-Length", "60")
    handler.end_headers()
    for _ in range(60):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(1)


def resetting(handler: BaseHTTPRequestHandler) -> None:
    """Cut the connection with a reset."""
    linger = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.connection.close()


Serve = Callable[[Callable[[Any], None]], WrongServer]
