"""Latency of one-row requests and of status pages while large requests are served."""

import contextlib
import http.client
import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import load
from benchmarks.servers import Server

EXPLAINING, OVERLOADING = 4, 64
"""Connections that request explanations of 1,000 rows: as in the goal, and as an overload."""
PAGES = ("/health", "/ready", "/metrics")
BURSTS = 8


@dataclass(frozen=True, slots=True)
class Burst:
    """Some seconds of overload, in which 64 connections request explanations.

    Attributes:
        taken: steal time, in percent of all processor time: the host gave it to other guests.
        pages: worst latency of each page, in milliseconds.
    """

    taken: float
    pages: dict[str, float]


@dataclass(frozen=True, slots=True)
class Contention:
    """Measured latencies.

    Attributes:
        alone, beside: 95th percentile of one-row requests in milliseconds, alone and beside four
            connections that request explanations.
        bursts: latencies of the status pages under overload.
    """

    alone: float
    beside: float
    bursts: Sequence[Burst]


def measure(server: Server, rows: Sequence[Any], folder: Path, seconds: float) -> Contention:
    """Time one-row requests alone and beside large ones, in turns; then pages under overload."""
    large = json.dumps({"instances": list(rows), "explain": True}).encode()
    script = load.script(folder, "explaining", large)
    alone: list[float] = []
    beside: list[float] = []
    for _ in range(5):
        alone += _one_row(server, seconds)
        with _asking(server, script, EXPLAINING):
            beside += _one_row(server, seconds)
    bursts = [_burst(server, script, seconds) for _ in range(BURSTS)]
    return Contention(_p95(alone), _p95(beside), bursts)


def _burst(server: Server, script: Path, seconds: float) -> Burst:
    """Time the pages during one burst, from its start."""
    worst = dict.fromkeys(PAGES, 0.0)
    before = _ticks()
    with _asking(server, script, OVERLOADING), _client(server) as client:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for page in PAGES:
                worst[page] = max(worst[page], _timed(client, "GET", page, None))
    return Burst(_taken(before, _ticks()), worst)


def _ticks() -> list[int]:
    """Return the machine's processor time by kind, in ticks; the eighth is steal time."""
    return [int(one) for one in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]


def _taken(before: Sequence[int], after: Sequence[int]) -> float:
    """Return the steal time between two readings, in percent of all processor time."""
    spent = [late - early for early, late in zip(before, after, strict=True)]
    return 100 * spent[7] / max(sum(spent), 1)


@contextlib.contextmanager
def _asking(server: Server, script: Path, connections: int) -> Iterator[None]:
    """Send large requests continuously during the block."""
    command = [*("wrk", "--threads", "1", "--connections", str(connections), "--timeout", "60s")]
    command += ["--duration", "600s", "--script", str(script), server.url]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()
            process.wait()
    time.sleep(1)  # The server still works on requests of closed connections.


@contextlib.contextmanager
def _client(server: Server) -> Iterator[http.client.HTTPConnection]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port)) as client:
        yield client


def _one_row(server: Server, seconds: float) -> list[float]:
    """Return the latencies in milliseconds of successive one-row requests for `seconds`."""
    with _client(server) as client:
        until = time.monotonic() + seconds
        found = []
        while time.monotonic() < until:
            found.append(_timed(client, "POST", server.path, server.body))
    return found


def _timed(client: http.client.HTTPConnection, method: str, path: str, body: Any) -> float:
    began = time.perf_counter()
    client.request(method, path, body, {"Content-Type": "application/json"})
    answer = client.getresponse()
    answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path} answered {answer.status}")
    return 1000 * (time.perf_counter() - began)


def _p95(values: Sequence[float]) -> float:
    return float(np.percentile(values, 95))


def goals(found: Contention) -> Iterator[str]:
    """Yield the lines of the table of goals."""
    both = f"{found.beside / found.alone:.1f} ({found.alone:.2f} → {found.beside:.2f} ms)"
    yield f"| p95 of one row beside four that explain 1,000, × alone | ≤ 3 | {both} |"
    worst = {page: max(one.pages[page] for one in found.bursts) for page in PAGES}
    pages = ", ".join(f"{page} {milliseconds:.0f}" for page, milliseconds in worst.items())
    yield f"| worst under overload, ms | ≤ 100 | {pages} |"
    left_alone = [max(one.pages.values()) for one in found.bursts if one.taken < 1]
    text = f"{max(left_alone):.0f} in {len(left_alone)}" if left_alone else "none was"
    of = f"in bursts whose processor the host left alone (of {len(found.bursts)})"
    yield f"| the same {of} | ≤ 100 | {text} |"
