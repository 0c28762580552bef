"""Speed of the proxy beside its peers and its own ceiling, all running at the same time.

`python -m benchmarks.serving` (`make bench-serving`) takes up to 15 minutes and rewrites its
section of benchmarks/RESULTS.md; `--quick` takes four and writes nothing. Each number is the median
of rounds in which all servers take turns, so that a noisy minute affects all of them; a turn begins
once abandoned requests and conversions of captured rows of the turn before are finished.
"""

import argparse
import contextlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import contention, load, servers
from benchmarks.environments import Unavailable, shipped_python
from benchmarks.processes import (
    DidNotStart,
    free_port,
    mlflow_server,
    processor_seconds,
    resident,
    running,
    wait_for,
)
from benchmarks.results import keep
from benchmarks.servers import Server
from benchmarks.serving_report import (
    BARE,
    CEILING,
    CHAMPION,
    CONNECTIONS,
    MLFLOW,
    ONLY_AT_MOST,
    OURS,
    SHADOWED,
    TWO,
    TWO_BARE,
    Measured,
    Plan,
    report,
)

_BARE_IMPORTS = "import mlflow.pyfunc, skops.io, fastapi, uvicorn"
_QUIET_SECONDS, _IDLE_CORES = 0.25, 0.2
_ENVIRON = {"OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}


FULL = Plan(rounds=8, seconds=2, starts=3, rows_for_memory=1_000_000)
QUICK = Plan(rounds=1, seconds=1, starts=1, rows_for_memory=20_000)


def main() -> int:
    """Measure, print, and save the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round; keeps nothing")
    plan = QUICK if parser.parse_args().quick else FULL
    os.environ.update(_ENVIRON)
    # Only a first start compiles our modules; measured starts must find bytecode.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        with tempfile.TemporaryDirectory(prefix="bench-serving-") as folder:
            measured = measure(plan, Path(folder))
    except load.NoLoadGenerator as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    text = "\n".join(report(measured, plan))
    sys.stdout.write(f"{text}\n")
    if plan is FULL:
        keep("serving", "Serving", text)
    return 0


def measure(plan: Plan, folder: Path) -> Measured:
    """Start all servers, measure, and stop them."""
    from benchmarks.pinned import instances, register

    with contextlib.ExitStack() as stack:
        say("starting MLflow")
        uri = stack.enter_context(mlflow_server(folder))
        say("registering the models")
        pinned = register(uri, folder / "pinned.joblib")
        rows = instances(1000)
        start_s = _starts(uri, folder, rows[:1], plan.starts)
        up, skipped = _start_all(stack, uri, folder, rows[:1])
        loads = _loads(up, plan, folder)
        memory = {server.name: resident(process) for server, process in up}
        ours, process = next(pair for pair in up if pair[0].name == OURS)
        say("1,000-row requests")
        large = _large(ours, rows, pinned)
        say("one row beside 1,000-row explanations, and status pages under overload")
        beside = contention.measure(ours, rows, folder, plan.seconds)
        growth = _growth(ours, process, rows, plan.rows_for_memory)
    return Measured(loads, memory, skipped, large, beside, growth, start_s)


def say(text: str) -> None:
    """Print a progress line to stderr."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")


def _start_all(
    stack: contextlib.ExitStack, uri: str, folder: Path, row: Any
) -> tuple[list[tuple[Server, Any]], dict[str, str]]:
    """Start all servers; return running ones with their processes, and why others are skipped.

    Turns follow this order, in which servers that are compared most closely are adjacent.
    """
    model = folder / "pinned.joblib"
    makers: dict[str, Callable[[], Server]] = {
        OURS: lambda: servers.ours(OURS, uri, folder, free_port(), row),
        TWO: lambda: servers.ours(TWO, uri, folder, free_port(), row, workers=2),
        CEILING: lambda: servers.ceiling(CEILING, uri, folder, free_port(), row),
        BARE: lambda: servers.ceiling(BARE, uri, folder, free_port(), row, "/bare"),
        TWO_BARE: lambda: servers.ceiling(TWO_BARE, uri, folder, free_port(), row, "/bare", 2),
        SHADOWED: lambda: servers.shadowed(SHADOWED, uri, folder, free_port(), row),
        CHAMPION: lambda: servers.champion(CHAMPION, uri, folder, free_port(), row),
        MLFLOW: lambda: servers.mlflow_serve(uri, free_port(), row),
        "MLServer": lambda: servers.mlserver(model, folder, [free_port() for _ in "hgm"], row),
        "BentoML": lambda: servers.bentoml(model, folder, free_port(), row),
    }
    up, skipped = [], {}
    for name, make in makers.items():
        say(f"starting {name}")
        log = folder / f"{name.replace(' ', '-')}.out"
        try:
            server = make()
            process = stack.enter_context(
                running(server.command, log, server.environ, server.folder)
            )
            wait_for(server.ready_url, process)
            lua = load.script(folder, name.replace(" ", "-"), server.body)
            if not _answers(server, lua):
                raise DidNotStart("it does not answer predictions")
            up.append((server, process))
        except (Unavailable, DidNotStart) as exc:
            skipped[name] = str(exc)
            say(f"skipped {name}: {exc}: {log.read_text()[-500:] if log.exists() else ''}")
    return up, skipped


def _answers(server: Server, lua: Path) -> bool:
    """Warm a server up; return whether a try had no failure (a second worker may start later)."""
    for _ in range(10):
        first = load.run(server.url, lua, 4, 1)
        if first.rate and not first.failed:
            return True
    return False


def _loads(
    up: list[tuple[Server, Any]], plan: Plan, folder: Path
) -> dict[tuple[str, int], list[load.Load]]:
    """Load all servers in turns, round by round; return the loads by server and connections."""
    found: dict[tuple[str, int], list[load.Load]] = defaultdict(list)
    for number in range(plan.rounds):
        say(f"round {number + 1} of {plan.rounds}")
        for connections in CONNECTIONS:
            for server, process in up:
                if server.name in ONLY_AT_MOST and connections != CONNECTIONS[-1]:
                    continue
                lua = folder / f"{server.name.replace(' ', '-')}.lua"
                _settle([process for _, process in up], folder)
                before = processor_seconds(process)
                turn = load.run(server.url, lua, connections, plan.seconds)
                cores = (processor_seconds(process) - before) / plan.seconds
                found[server.name, connections].append(replace(turn, server_cores=cores))
    return found


def _settle(processes: list[Any], folder: Path, seconds: float = 20) -> None:
    """Wait until no journal awaits conversion and all processes are idle, at most `seconds`."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        used = sum(map(processor_seconds, processes))
        time.sleep(_QUIET_SECONDS)
        spent = sum(map(processor_seconds, processes)) - used
        if spent < _IDLE_CORES * _QUIET_SECONDS and not any(folder.glob("*/store/journal/*.jsonl")):
            return


def _large(server: Server, rows: list[dict[str, float]], model: Any) -> tuple[float, float]:
    """Return the median milliseconds of a 1,000-row request, and of decoding and predicting it."""
    import numpy as np

    body = json.dumps({"instances": rows}).encode()
    matrix = np.array([list(row.values()) for row in rows])
    bare = fitted_without_names(model)
    asked, worked = [], []
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port)) as client:
        for _ in range(40):
            began = time.perf_counter()
            _post(client, body)
            asked.append(time.perf_counter() - began)
            began = time.perf_counter()
            json.loads(body)
            bare.predict_proba(matrix)
            worked.append(time.perf_counter() - began)
    return 1000 * statistics.median(asked), 1000 * statistics.median(worked)


def fitted_without_names(model: Any) -> Any:
    """Return a copy without feature names, which predicts on a matrix without a warning."""
    import copy

    bare = copy.copy(model)
    del bare.feature_names_in_
    return bare


def _growth(
    server: Server, process: Any, rows: list[dict[str, float]], count: int
) -> tuple[float, float]:
    """Return the worker's memory in MB before and after `count` more predictions."""
    body = json.dumps({"instances": rows}).encode()
    say(f"{count:,} predictions")
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port)) as client:
        for _ in range(count // len(rows) // 5):
            _post(client, body)
        before = resident(process)
        for _ in range(count // len(rows)):
            _post(client, body)
    return before, resident(process)


def _post(client: http.client.HTTPConnection, body: bytes) -> None:
    client.request("POST", "/predict", body, {"Content-Type": "application/json"})
    answer = client.getresponse()
    answer.read()
    if answer.status != 200:
        raise RuntimeError(f"/predict answered {answer.status}")


def _starts(uri: str, folder: Path, row: Any, count: int) -> tuple[float, float]:
    """Return the median seconds from process start to /ready, and of the bare imports."""
    ready, bare = [], []
    for number in range(count):
        say("start-up")
        server = servers.ours(f"start-{number}", uri, folder, free_port(), row)
        began = time.perf_counter()
        with running(server.command, folder / "start.out", server.environ) as process:
            wait_for(server.ready_url, process)
            ready.append(time.perf_counter() - began)
        began = time.perf_counter()
        subprocess.run([shipped_python(), "-c", _BARE_IMPORTS], check=True)
        bare.append(time.perf_counter() - began)
    return statistics.median(ready), statistics.median(bare)


if __name__ == "__main__":
    sys.exit(main())
