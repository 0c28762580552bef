"""What large requests do to small ones, and to the pages that say how the proxy is."""

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
"""Connections that ask for explanations of 1,000 rows: as the promise says, and far too many."""
PAGES = ("/health", "/ready", "/metrics")
BURSTS = 8


@dataclass(frozen=True, slots=True)
class Contention:
    """Milliseconds.

    Attributes:
        alone, beside: 95th percentile of one-row requests, alone and beside four explaining ones.
        pages: worst answer of each page while sixty-four explain, in bursts of them.
        taken: for each burst, the share of both cores that the host gave to others, in percent,
            and the worst answer of any page.
    """

    alone: float
    beside: float
    pages: dict[str, float]
    taken: list[tuple[float, float]]


def measure(server: Server, rows: Sequence[Any], folder: Path, seconds: float) -> Contention:
    """Ask for one row alone and beside large requests, in turns; then for pages under overload."""
    large = json.dumps({"instances": list(rows), "explain": True}).encode()
    script = load.script(folder, "explaining", large)
    alone: list[float] = []
    beside: list[float] = []
    for _ in range(5):
        alone += _one_row(server, seconds)
        with _asking(server, script, EXPLAINING):
            beside += _one_row(server, seconds)
    worst: dict[str, float] = dict.fromkeys(PAGES, 0.0)
    taken = []
    for _ in range(BURSTS):
        before = _ticks()
        one = _pages(server, script, seconds)
        taken.append((_share(before, _ticks()), max(one.values())))
        worst = {page: max(worst[page], one[page]) for page in PAGES}
    return Contention(_p95(alone), _p95(beside), worst, taken)


def _pages(server: Server, script: Path, seconds: float) -> dict[str, float]:
    """Return the worst answer of each page in one burst, its first moment included."""
    worst = dict.fromkeys(PAGES, 0.0)
    with _asking(server, script, OVERLOADING), _client(server) as client:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for page in PAGES:
                worst[page] = max(worst[page], _timed(client, "GET", page, None))
    return worst


def _ticks() -> list[int]:
    """Return the machine's processor time by kind, in ticks; the eighth is what the host took."""
    return [int(one) for one in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]


def _share(before: Sequence[int], after: Sequence[int]) -> float:
    """Return what the host took of all processor time between, in percent."""
    spent = [late - early for early, late in zip(before, after, strict=True)]
    return 100 * spent[7] / max(sum(spent), 1)


@contextlib.contextmanager
def _asking(server: Server, script: Path, connections: int) -> Iterator[None]:
    """Have large requests asked all the while."""
    command = [*("wrk", "--threads", "1", "--connections", str(connections), "--timeout", "60s")]
    command += ["--duration", "600s", "--script", str(script), server.url]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()
            process.wait()
    time.sleep(1)  # What nobody waits for any more is still worked off.


@contextlib.contextmanager
def _client(server: Server) -> Iterator[http.client.HTTPConnection]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port)) as client:
        yield client


def _one_row(server: Server, seconds: float) -> list[float]:
    """Return the milliseconds of one-row requests that follow each other so long."""
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
    pages = ", ".join(f"{page} {worst:.0f}" for page, worst in found.pages.items())
    yield f"| worst under overload, ms | ≤ 100 | {pages} |"
    own = [worst for share, worst in found.taken if share < 1]
    quiet = f"{max(own):.0f} in {len(own)}" if own else "none was"
    taken = f"in bursts whose processor the host left alone (of {len(found.taken)})"
    yield f"| the same {taken} | ≤ 100 | {quiet} |"
