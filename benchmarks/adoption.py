"""Time from a flip to the last response of the version before: two proxies of two workers.

`python -m benchmarks.adoption` takes six minutes and rewrites its section of
benchmarks/RESULTS.md; `--quick` makes three flips of each kind and writes nothing. Each request has
a connection of its own, so that both workers of a proxy get some. A flip's time is that of MLflow's
response to the change of the alias; its lag ends when the last request that the other version
served was sent.
"""

import argparse
import http.client
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import pinned, servers
from benchmarks.processes import free_port, mlflow_server, resident, running, wait_for
from benchmarks.results import keep, machine
from benchmarks.servers import Server
from core.contract import names
from core.registry.versions import Registry

FIRST, NEW, BACK = "promote, first time", "promote again", "rollback"
COLD = "rollback, nothing kept"
_PAUSE = 0.004
_GOAL_SECONDS = 1.0
_SETTLE_SECONDS = 3.0
"""Seconds without a response of the other version after which a flip counts as adopted."""
RELEASES = {1: "v1.1.0", 2: "v1.0.0"}
"""Release by registry number."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request: when it was sent, and the release that served it."""

    at: float
    release: str


class Asking:
    """Threads that send requests to each proxy continuously, each on a new connection."""

    def __init__(self, proxies: Sequence[Server], threads: int = 2) -> None:
        """Create the threads; `with` starts and stops them."""
        self.sent: list[Sent] = []
        self.failed = 0
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(proxy,)) for proxy in proxies * threads
        ]

    def __enter__(self) -> "Asking":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, proxy: Server) -> None:
        headers = {"Content-Type": "application/json", "Connection": "close"}
        while not self._over.is_set():
            connection, at = http.client.HTTPConnection("127.0.0.1", proxy.port, 30), time.time()
            connection.request("POST", proxy.path, proxy.body, headers)
            answer = connection.getresponse()
            body = json.loads(answer.read())
            connection.close()
            self.failed += answer.status != 200
            self.sent.append(Sent(at, body.get("model_version", "")))
            time.sleep(_PAUSE)


def main() -> int:
    """Measure, print, and save the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three flips; keeps nothing")
    quick = parser.parse_args().quick
    os.environ.update({"OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"})
    with tempfile.TemporaryDirectory(prefix="bench-adoption-") as place:
        folder = Path(place)
        with mlflow_server(folder) as uri:
            text = "\n".join(report(uri, folder, 3 if quick else 20))
    sys.stdout.write(f"{text}\n")
    if not quick:
        keep("adoption", "Adoption of a flip", text)
    return 0


def report(uri: str, folder: Path, flips: int) -> list[str]:
    """Return the section's lines."""
    lags, memory, failed = measure(uri, folder, flips)
    return [
        f"Machine: {machine()}.",
        "",
        "Two proxies of two workers, `POLL_SECONDS=1`, asked all the time: seconds from the flip "
        "to the last request that the other version answered. `KEEP_PREVIOUS=true` but for the "
        f"last row. Failed requests: {failed}.",
        "",
        "| flip | flips | median | worst |",
        "|---|---|---|---|",
        *(f"| {k} | {len(v)} | {median(v):.2f} s | {max(v):.2f} s |" for k, v in lags.items()),
        "",
        f"A worker's memory with one version {memory[0]:.0f} MB, with the one before it kept "
        f"{memory[1]:.0f} MB.",
        "",
        "| to reach | limit | measured |",
        "|---|---|---|",
        f"| rollback, worst | ≤ {_GOAL_SECONDS:g} s | {max(lags[BACK]):.2f} s |",
    ]


def measure(
    uri: str, folder: Path, flips: int
) -> tuple[dict[str, list[float]], tuple[float, float], int]:
    """Return lags (s) by kind of flip, a worker's memory (MB) before and after, and failures."""
    import mlflow

    mlflow.set_tracking_uri(uri)
    model = pinned.fit_champion(*pinned.training_rows())
    other, one = (
        pinned.register_version(pinned.CHAMPION, model, release=release)
        for release in RELEASES.values()
    )
    registry = Registry(pinned.CHAMPION, uri)
    lags: dict[str, list[float]] = {FIRST: [], NEW: [], BACK: [], COLD: []}
    with ExitStack() as stack:
        up, process = _started(stack, uri, folder, "kept", "true")
        before = resident(process)
        asking = stack.enter_context(Asking(up))
        for turn in range(flips):
            lags[FIRST if not turn else NEW].append(_flip(registry, asking, other))
            lags[BACK].append(_flip(registry, asking, one))
        memory, failed = (before, resident(process)), asking.failed
    with ExitStack() as stack:
        up, _process = _started(stack, uri, folder, "cold", "false")
        asking = stack.enter_context(Asking(up))
        for _turn in range(max(flips // 2, 1)):
            _flip(registry, asking, other)
            lags[COLD].append(_flip(registry, asking, one))
    return lags, memory, failed + asking.failed


def _started(
    stack: ExitStack, uri: str, folder: Path, name: str, kept: str
) -> tuple[list[Server], Any]:
    """Start two proxies of two workers; return them and the process of the second."""
    up, process = [], None
    for number in (1, 2):
        made = servers.ours(
            *(f"{name} {number}", uri, folder, free_port(), pinned.instances(1)),
            *(pinned.CHAMPION, 2),
        )
        home = folder / made.name.replace(" ", "-")
        environ = {
            **made.environ,
            "KEEP_PREVIOUS": kept,
            "MODEL_CACHE": str(home / "cache"),
            "PROXY_NAME": made.name.replace(" ", "-"),
        }
        process = stack.enter_context(running(made.command, folder / f"{name}.log", environ))
        wait_for(made.ready_url, process, 180)
        up.append(made)
    time.sleep(_SETTLE_SECONDS)
    return up, process


def _flip(registry: Registry, asking: Asking, number: int) -> float:
    """Move the alias; return the seconds until the last request that the other version served."""
    registry.set_alias(names.CHAMPION, number)
    moment, before = time.time(), len(asking.sent)
    release = RELEASES[number]
    last = moment
    while time.time() - last < _SETTLE_SECONDS:
        time.sleep(0.2)
        count = len(asking.sent)
        seen, before = asking.sent[before:count], count
        last = max([last, *(sent.at for sent in seen if sent.release != release)])
    return last - moment


if __name__ == "__main__":
    sys.exit(main())
