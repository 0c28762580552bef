"""Hostile HTTP: malformed and abusive requests. None may get a status code 5xx."""

import random
import socket
import threading
import time
from collections.abc import Callable

from benchmarks.chaos.account import Account
from benchmarks.chaos.system import KEY

_HEAD = f"POST /predict HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\n".encode()
_JSON = b"Content-Type: application/json\r\n"
_SECONDS = 5.0


def endless_header(sock: socket.socket, _draw: random.Random) -> None:
    """Send one header line of 400 kB, without its end."""
    sock.sendall(_HEAD + b"X-Long: ")
    for _ in range(100):
        sock.sendall(b"a" * 4096)


def many_headers(sock: socket.socket, _draw: random.Random) -> None:
    """Send 4,000 headers, without the end of the headers."""
    sock.sendall(_HEAD)
    for number in range(4000):
        sock.sendall(b"X-%d: %d\r\n" % (number, number))


def slow_headers(sock: socket.socket, _draw: random.Random) -> None:
    """Send the start of a request at ten bytes a second."""
    for byte in _HEAD[:20]:
        sock.sendall(bytes([byte]))
        time.sleep(0.1)


def slow_body(sock: socket.socket, _draw: random.Random) -> None:
    """Announce a body of 1,000 bytes and send 21 of them slowly."""
    sock.sendall(_HEAD + _JSON + b"Content-Length: 1000\r\n\r\n{")
    for _ in range(20):
        sock.sendall(b" ")
        time.sleep(0.1)


def two_keys(sock: socket.socket, _draw: random.Random) -> None:
    """Send a valid API key and another one."""
    sock.sendall(_HEAD + b"X-API-Key: other\r\nContent-Length: 2\r\n\r\n{}")


def trailer(sock: socket.socket, _draw: random.Random) -> None:
    """Send the API key in a trailer of a chunked body."""
    chunked = b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n" + _JSON
    sock.sendall(chunked + b"\r\n2\r\n{}\r\n0\r\nX-API-Key: " + KEY.encode() + b"\r\n\r\n")


def garbage(sock: socket.socket, draw: random.Random) -> None:
    """Send random bytes instead of HTTP."""
    sock.sendall(draw.randbytes(draw.randrange(1, 3000)))


def broken_json(sock: socket.socket, draw: random.Random) -> None:
    """Send random bytes as a JSON body."""
    body = draw.randbytes(200)
    sock.sendall(_HEAD + _JSON + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def oversized(sock: socket.socket, _draw: random.Random) -> None:
    """Send a body over the size limit."""
    sock.sendall(_HEAD + _JSON + b"Content-Length: 50000000\r\n\r\n")
    for _ in range(800):
        sock.sendall(b" " * 65536)


def half(sock: socket.socket, _draw: random.Random) -> None:
    """Send only the start of a body."""
    sock.sendall(_HEAD + _JSON + b'Content-Length: 500\r\n\r\n{"instances": [')


KINDS: tuple[Callable[[socket.socket, random.Random], None], ...] = (
    *(endless_header, many_headers, slow_headers, slow_body, two_keys),
    *(trailer, garbage, broken_json, oversized, half),
)


def attack(port: int, account: Account, seed: str, over: threading.Event) -> None:
    """Send one request after another; count them, and the responses by status class."""
    draw = random.Random(seed)
    while not over.wait(draw.uniform(0.3, 1.5)):
        kind = draw.choice(KINDS)
        account.hostile["sent"] += 1
        status = _status(port, kind, draw)
        if status:
            account.hostile[f"{status // 100}xx"] += 1
        if status >= 500 and not account.during("outage", "disk full"):
            account.hostile["5xx unexpected"] += 1
            account.note(f"hostile {kind.__name__} was answered {status}")


def _status(
    port: int, kind: Callable[[socket.socket, random.Random], None], draw: random.Random
) -> int:
    """Return the status code of the response; 0 without a response."""
    said = b""
    try:
        with socket.create_connection(("127.0.0.1", port), _SECONDS) as sock:
            try:
                kind(sock, draw)
            finally:
                said = sock.recv(200)
    except OSError:
        pass
    words = said.split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
