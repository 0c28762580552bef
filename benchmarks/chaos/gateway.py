"""A TCP gateway to MLflow that forwards bytes, or responds wrongly, slowly or not at all."""

import contextlib
import socket
import struct
import threading
import time

CLEAN = "clean"
_HEAD = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n"
_SLOW_SECONDS = 3.0


def _answer(status: bytes, body: bytes, headers: bytes = b"") -> bytes:
    return _HEAD % (status, len(body), headers) + body


_ANSWERS = {
    "unavailable": _answer(b"503 Service Unavailable", b"", b"Retry-After: 3600\r\n"),
    "limited": _answer(b"429 Too Many Requests", b"", b"Retry-After: 3600\r\n"),
    "page": _answer(b"200 OK", b"<html>Sign in</html>", b"Content-Type: text/html\r\n"),
    "lying": _answer(
        b"200 OK",
        b'{"model_version": {"version": "nine", "name": 1}}',
        b"Content-Type: application/json\r\n",
    ),
    "empty": _answer(b"200 OK", b"{}", b"Content-Type: application/json\r\n"),
    "elsewhere": _answer(b"302 Found", b"", b"Location: http://127.0.0.1:9/\r\n"),
}
MOODS = (*_ANSWERS, "slow", "drip", "reset", "dead")


class Gateway:
    """A forwarder from a loopback port to MLflow; its mode (`mood`) can be changed any time."""

    def __init__(self, port: int, server: int) -> None:
        """Start to accept connections, without faults."""
        self.mood = CLEAN
        self.uri = f"http://127.0.0.1:{port}"
        self._server = server
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=64)
        threading.Thread(target=self._accept, daemon=True).start()

    def become(self, mood: str) -> None:
        """Change the mode and cut open connections."""
        self.mood = mood
        for sock in list(self._sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop accepting connections and cut open ones."""
        self._listener.close()
        self.become(CLEAN)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _address = self._listener.accept()
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        self._sockets.add(near)
        try:
            with near, contextlib.suppress(OSError):
                self._answer(near, self.mood)
        finally:
            self._sockets.discard(near)

    def _answer(self, near: socket.socket, mood: str) -> None:
        if mood == "slow":
            time.sleep(_SLOW_SECONDS)
        if mood in (CLEAN, "slow"):
            self._forward(near)
            return
        near.recv(65536)
        if mood == "reset":
            near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif mood == "dead":
            near.recv(1)  # until the client disconnects
        elif mood == "drip":
            near.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n")
            for _ in range(60):
                near.sendall(b" ")
                time.sleep(1)
        else:
            near.sendall(_ANSWERS[mood])

    def _forward(self, near: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._server), 5) as far:
            far.settimeout(None)
            self._sockets.add(far)
            back = threading.Thread(target=_pump, args=(far, near), daemon=True)
            back.start()
            _pump(near, far)
            back.join()
            self._sockets.discard(far)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for sock in (source, sink):
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
