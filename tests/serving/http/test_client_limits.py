"""Limits on what one client can occupy of a worker, over raw sockets to a live server."""

import gzip
import hashlib
import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.http import connections
from serving.http.bodies import Bodies
from serving.http.connections import MAX_HEAD_BYTES
from tests.live import eventually

ROOT = Path(__file__).resolve().parents[3]
ROW = {"temperature": 21.5, "pressure": 1003.25, "wear": 2}
GET = b"GET /health HTTP/1.1\r\nHost: a\r\n"


@pytest.fixture
def connect(proxy: Any) -> Iterator[Callable[..., socket.socket]]:
    """Yield a function that opens a connection to a proxy and sends data."""
    with ExitStack() as stack:

        def open_one(data: bytes = b"", to: Any = proxy) -> socket.socket:
            address = (to.http.base_url.host, to.http.base_url.port)
            sock = stack.enter_context(socket.create_connection(address, timeout=20))
            sock.sendall(data)
            return sock

        yield open_one


def closed(sock: socket.socket, seconds: float = 20.0) -> bytes:
    """Return all bytes received until the server closes the connection."""
    sock.settimeout(seconds)
    said = b""
    with suppress(ConnectionResetError):
        while data := sock.recv(65536):
            said += data
    return said


def counted(proxy: Any, reason: str) -> float:
    """Return the number of connections closed for a reason."""
    for line in proxy.http.get("/metrics").text.splitlines():
        if line.startswith(f'http_connections_closed_total{{reason="{reason}"}}'):
            return float(line.rpartition(" ")[2])
    return 0.0


def test_an_endless_header_line_is_cut_off(proxy: Any, connect: Any) -> None:
    """An endless header is cut off at the limit, and other clients are answered meanwhile."""
    before = counted(proxy, "head_too_large")
    sock = connect(GET + b"X-Key: ")
    sent = sock.send(b"a" * 16384)
    assert proxy.http.get("/health").elapsed.total_seconds() < 5
    assert counted(proxy, "head_too_large") == before
    with suppress(OSError):
        while sent < 2**26:
            sent += sock.send(b"a" * 65536)
    assert sent < 2**26
    assert counted(proxy, "head_too_large") == before + 1


@pytest.mark.parametrize(("size", "status"), [(31 * 1024, 200), (33 * 1024, 431)])
@pytest.mark.parametrize("pause", [False, True])
def test_headers_have_a_limit_together(connect: Any, size: int, status: int, pause: bool) -> None:
    """The limit applies to all headers together, in one packet or two; 431 has the error shape."""
    lines = b"".join(b"X-%04d: %s\r\n" % (n, b"v" * 90) for n in range(size // 100))
    sock = connect(GET + lines[: size // 2])
    if pause:
        time.sleep(0.3)
    sock.sendall(lines[size // 2 :] + b"Connection: close\r\n\r\n")
    head, _, body = closed(sock).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d" % status)
    if status == 431:
        answer = json.loads(body)
        assert answer["error"]["code"] == "headers_too_large"
        assert answer["request_id"]


def test_a_large_body_after_small_headers_is_no_large_head(proxy: Any) -> None:
    """Body bytes that arrive with the headers do not count towards the header limit."""
    rows = [ROW] * 300
    assert len(json.dumps(rows)) < 200_000
    for _ in range(2):
        assert proxy.predict(*rows).status_code == 200
    assert len(json.dumps(rows * 4)) > MAX_HEAD_BYTES * 2
    assert proxy.predict(*rows * 4).status_code == 422


def test_slow_headers_are_closed(proxy: Any, connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silent and slowly sending connections are closed at the header timeout."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 1.0)
    silent, dripping = connect(), connect(GET)
    began = time.monotonic()
    with suppress(OSError):
        while time.monotonic() - began < 20:
            dripping.sendall(b"X: y\r\n")
            time.sleep(0.2)
    assert time.monotonic() - began < 15
    assert closed(silent) == b""
    assert counted(proxy, "head_too_slow") >= 2


def test_a_slow_body_is_closed_on_any_route(
    proxy: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection with an unfinished body is closed by timeout, also after the response."""
    assert connections.BODY_SECONDS == 30
    monkeypatch.setattr(connections, "BODY_SECONDS", 0.5)
    sock = connect(GET + b"Content-Length: 1000\r\n\r\nabc")
    began = time.monotonic()
    assert b" 200 " in closed(sock)
    assert time.monotonic() - began < 15
    assert counted(proxy, "body_too_slow") >= 1


def test_unfinished_bodies_have_a_room_together(
    register_version: Callable[..., int],
    new_model: Callable[[], str],
    start: Callable[..., Any],
    connect: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Beyond the total size of incomplete bodies the oldest get 503; the others complete."""
    monkeypatch.setattr("serving.app.Bodies", lambda: Bodies(most=5 * 2**20 - 2**18))
    name = new_model()
    register_version(name)
    proxy = start(name).wait_ready()
    body = json.dumps({"instances": [ROW]}).encode().ljust(3 * 2**19)
    head = b"POST /predict HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: "
    head += b"%d\r\n\r\n" % len(body)
    begun, rest = head + body[: 2**20], body[2**20 :]
    senders = []
    for number in range(12):
        senders.append(connect(begun, to=proxy))
        eventually(lambda number=number: shed(proxy) >= number - 3, 30)
    for ended in senders[:8]:
        answer = closed(ended)
        assert b" 503 " in answer and b"overloaded" in answer
    for sender in senders[8:]:
        sender.sendall(rest)
        assert b" 200 " in closed(sender)


def shed(proxy: Any) -> float:
    """Return the number of requests shed for lack of capacity."""
    name = "http_shed_requests_total "
    (line,) = [one for one in proxy.http.get("/metrics").text.splitlines() if one.startswith(name)]
    return float(line.rpartition(" ")[2])


def test_an_idle_connection_is_closed(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kept-alive connection is closed after the idle timeout."""
    assert connections.KEEP_ALIVE_SECONDS == 75
    monkeypatch.setattr(connections, "KEEP_ALIVE_SECONDS", 1.0)
    sock = connect(GET + b"\r\n")
    began = time.monotonic()
    assert b" 200 " in closed(sock)
    assert time.monotonic() - began < 15


def test_beyond_the_limit_the_longest_idle_goes(
    new_model: Callable[[], str], start: Callable[..., Any], connect: Any
) -> None:
    """Of thirty idle connections with a limit of ten, the oldest are closed, the last is served."""
    proxy = start(new_model(), max_connections=10)
    idle = [connect(to=proxy) for _ in range(30)]
    assert proxy.health()["status"] == "degraded"
    assert all(closed(sock) == b"" for sock in idle[:20])
    idle[-1].sendall(GET + b"Connection: close\r\n\r\n")
    assert b" 200 " in closed(idle[-1])
    assert counted(proxy, "crowded") >= 20


@pytest.mark.server
def test_a_common_limit_of_files_is_no_end(
    free_port: Callable[[], int], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """With 1,100 idle connections and a hard limit of 1,024 files, new clients are answered."""
    limit = resource.RLIMIT_NOFILE
    soft, hard = resource.getrlimit(limit)
    request.addfinalizer(lambda: resource.setrlimit(limit, (soft, hard)))
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    port = free_port()
    command = ["sh", "-c", 'ulimit -n 1024; exec "$@"', "sh", sys.executable, "-m", "serving"]
    places = {"LOG_FILE": "log", "INFERENCE_STORE": "store", "MODEL_CACHE": "cache"}
    process = subprocess.Popen(
        [*command, "--port", str(port)],
        cwd=ROOT,
        env={
            **os.environ,
            **{name: str(tmp_path / place) for name, place in places.items()},
            "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port()}",
        },
        stderr=subprocess.PIPE,
    )
    url = f"http://127.0.0.1:{port}/health"
    try:
        with ExitStack() as stack:
            eventually(lambda: _answers(url), 90)
            for _ in range(1100):
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            for _ in range(20):
                assert httpx.get(url, timeout=10).status_code == 200
    finally:
        process.terminate()
        _out, errors = process.communicate(timeout=60)
    assert "ulimit" in errors.decode()


def _answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(url).status_code == 200
    return False


def test_two_keys_are_refused(new_model: Callable[[], str], start: Callable[..., Any]) -> None:
    """Two keys are refused, even valid ones: an intermediate proxy may have checked the other."""
    proxy = start(new_model(), api_keys=(hashlib.sha256(b"right").digest(),))
    right, bearer = ("X-API-Key", "right"), ("Authorization", "Bearer right")
    assert proxy.http.get("/version", headers=[right]).status_code == 200
    assert proxy.http.get("/version", headers=[bearer]).status_code == 200
    for two in ([right, ("X-API-Key", "wrong")], [right, right], [right, bearer]):
        answer = proxy.http.get("/version", headers=two)
        assert answer.status_code == 401
        assert "uma chave" in answer.json()["error"]["message"]


def test_a_trailer_is_no_header(
    new_model: Callable[[], str], start: Callable[..., Any], connect: Any
) -> None:
    """A key in a trailer does not authorize, and endless trailers are cut off."""
    proxy = start(new_model(), api_keys=(hashlib.sha256(b"right").digest(),))
    head = b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
    body = b"Connection: close\r\n\r\n2\r\n{}\r\n0\r\n"
    sock = connect(head + body + b"X-API-Key: right\r\n\r\n", to=proxy)
    assert b" 401 " in closed(sock)
    sock = connect(head + b"\r\n2\r\n{}\r\n0\r\nX-API-Key: ", to=proxy)
    sent = 0
    with suppress(OSError):
        while sent < 2**26:
            sent += sock.send(b"a" * 65536)
    assert sent < 2**26
    assert counted_with_key(proxy, "head_too_large") == 1


def counted_with_key(proxy: Any, reason: str) -> float:
    """Return the number of connections that a proxy with keys closed for a reason."""
    proxy.http.headers["X-API-Key"] = "right"
    return counted(proxy, reason)


@pytest.mark.parametrize("path", ["/predict", "/invocations", "/predict/batch"])
def test_a_compressed_body_is_refused(proxy: Any, path: str) -> None:
    """A gzip body is refused with 415 and `Accept-Encoding: identity`."""
    content = gzip.compress(json.dumps({"instances": [ROW]}).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = proxy.http.post(path, content=content, headers=headers)
    assert answer.status_code == 415
    assert answer.headers["accept-encoding"] == "identity"
    assert answer.json()["error"]["code"] == "unsupported_content_encoding"


def test_overload_sheds_and_status_goes_on(
    register_version: Callable[..., int], new_model: Callable[[], str], start: Callable[..., Any]
) -> None:
    """Beyond MAX_PENDING_ROWS: 503 with Retry-After, counted; status routes keep responding."""
    name = new_model()
    register_version(name)
    proxy = start(name, max_pending_rows=1500).wait_ready()
    body = {"instances": [ROW] * 1000, "explain": True}
    waits: list[float] = []
    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(proxy.http.post, "/predict", json=body) for _ in range(48)]
        while not all(one.done() for one in asked):
            for path in ("/health", "/ready", "/metrics"):
                answer = proxy.http.get(path)
                assert answer.status_code == 200
                waits.append(answer.elapsed.total_seconds())
    answers = [one.result() for one in asked]
    shed = [answer for answer in answers if answer.status_code == 503]
    assert {answer.status_code for answer in answers} == {200, 503}
    assert {answer.headers["retry-after"] for answer in shed} == {"1"}
    assert {answer.json()["error"]["code"] for answer in shed} == {"overloaded"}
    text = proxy.http.get("/metrics").text
    assert f"http_shed_requests_total {float(len(shed))}" in text
    assert "model_waiting_rows 0.0" in text
    waits.sort()
    # At most about 100 ms on an idle machine; parallel tests share the CPU.
    assert waits[len(waits) // 2] < 1.0
    assert waits[-1] < 15.0
