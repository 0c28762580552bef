"""Speed of serving plainly registered models, beside other ways to serve them.

`python -m benchmarks.serving_models` takes up to half an hour and rewrites its section of
benchmarks/RESULTS.md; `--quick` takes a few minutes. With `--quick` or named models nothing is
written. Each model's servers run together and take turns, one worker each, one row a request, our
capture and log enabled; a number is the median of the rounds.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks import load, plain_models, servers
from benchmarks.environments import Unavailable, python_with_boosters
from benchmarks.load import Load
from benchmarks.plain_models import PlainModel
from benchmarks.processes import DidNotStart, free_port, mlflow_server, running, wait_for
from benchmarks.results import keep, machine
from benchmarks.servers import Server

CONNECTIONS = (1, 16, 64)
OURS, INVOKED, STATED = "ours, /predict", "ours, /invocations", "ours, with a contract"
MLFLOW, BY_HAND, LITSERVE = "mlflow models serve", "FastAPI by hand", "LitServe"
_ENVIRON = {"OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}

Loads = dict[tuple[str, int], list[Load]]


def main() -> int:
    """Measure, print, and save the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", help="only these")
    parser.add_argument("--quick", action="store_true", help="one short round; keeps nothing")
    options = parser.parse_args()
    rounds, seconds = (1, 2) if options.quick else (5, 3)
    os.environ.update(_ENVIRON)
    chosen = [m for m in plain_models.MODELS if not options.models or m.name in options.models]
    lines = [f"Machine: {machine()}.", "", _caption(rounds, seconds)]
    with tempfile.TemporaryDirectory(prefix="bench-models-") as place:
        folder = Path(place)
        with mlflow_server(folder) as uri:
            for model in chosen:
                loads, skipped = measure(model, uri, folder, rounds, seconds)
                lines += ["", *table(model, loads, skipped)]
    text = "\n".join(lines)
    sys.stdout.write(f"{text}\n")
    if not options.quick and not options.models:
        keep("serving-models", "Models registered plainly", text)
    return 0


def _caption(rounds: int, seconds: float) -> str:
    return (
        f"Medians of {rounds} rounds of {seconds:g} s: requests/s (p50 / p99 in ms), then the "
        f"ratios to `{MLFLOW}` and to the app by hand."
    )


def measure(
    model: PlainModel, uri: str, folder: Path, rounds: int, seconds: float
) -> tuple[Loads, dict[str, str]]:
    """Register one model and load its servers in turns; return loads, and skipped servers."""
    import mlflow

    mlflow.set_tracking_uri(uri)
    dump = plain_models.register(model, folder, contract=model.predict_fn == "predict_proba")
    loads: Loads = defaultdict(list)
    skipped: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        up = list(_started(stack, model, uri, folder, dump, skipped))
        for _round in range(rounds):
            for connections in CONNECTIONS:
                for server, lua in up:
                    turn = load.run(server.url, lua, connections, seconds)
                    loads[server.name, connections].append(turn)
    return loads, skipped


def _started(
    stack: contextlib.ExitStack,
    model: PlainModel,
    uri: str,
    folder: Path,
    dump: Path,
    skipped: dict[str, str],
) -> Iterator[tuple[Server, Path]]:
    """Yield each server that starts and serves predictions, with its load script."""
    for name, make in _makers(model, uri, folder, dump).items():
        key = f"{model.name}-{''.join(c for c in name if c.isalnum())}"
        log = folder / f"{key}.out"
        try:
            server = replace(make(), name=name)
            if server.command:
                command, environ = server.command, server.environ
                process = stack.enter_context(running(command, log, environ, server.folder))
                wait_for(server.ready_url, process, 180)
            lua = load.script(folder, key, server.body)
            first = load.run(server.url, lua, 4, 1)
            if first.failed or not first.rate:
                raise DidNotStart("it does not answer predictions")
        except (Unavailable, DidNotStart) as exc:
            tail = log.read_text()[-300:] if log.exists() else ""
            sys.stderr.write(f"skipped {name}: {exc} {tail}\n")
            skipped[name] = str(exc)
        else:
            yield server, lua


def _makers(
    model: PlainModel, uri: str, folder: Path, dump: Path
) -> dict[str, Callable[[], Server]]:
    row = plain_models.row(model)
    python = python_with_boosters()
    ours = servers.ours(model.name, uri, folder, free_port(), [row], model.name, python=python)
    split = {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}}
    # The second route of the first server: it needs no process of its own.
    invoked = replace(ours, command=(), path="/invocations", body=json.dumps(split).encode())
    makers: dict[str, Callable[[], Server]] = {
        OURS: lambda: ours,
        INVOKED: lambda: invoked,
        MLFLOW: lambda: servers.mlflow_serve(uri, free_port(), [row], model.name, python=python),
        BY_HAND: lambda: servers.by_hand(dump, free_port(), row, model.predict_fn, python),
        LITSERVE: lambda: servers.litserve(dump, folder, free_port(), row, model.predict_fn),
    }
    if model.predict_fn == "predict_proba":
        stated = f"{model.name}-contract"
        makers[STATED] = lambda: servers.ours(
            stated, uri, folder, free_port(), [row], stated, python=python
        )
    return makers


def table(model: PlainModel, loads: Loads, skipped: dict[str, str]) -> list[str]:
    """Return the lines of one model's tables of results and goals."""
    heads = [f"{count} connection{'s' if count > 1 else ''}" for count in CONNECTIONS]
    lines = [
        f"### {model.title}",
        "",
        "| server | " + " | ".join(heads) + " |",
        "|---|---|---|---|",
    ]
    for name in dict.fromkeys(name for name, _ in loads):
        cells = [_cell(loads, name, count) for count in CONNECTIONS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += [f"| {name} | skipped: {why} | | |" for name, why in skipped.items()]
    return [*lines, "", *_goals(model, loads)]


def _cell(loads: Loads, name: str, connections: int) -> str:
    found = Load.median(loads[name, connections])
    failed = f", {found.failed} failed" if found.failed else ""
    text = f"{found.rate:,.0f} ({found.p50:.2f} / {found.p99:.2f}{failed})"
    ratios = [
        f"{_ratio(loads, name, other, connections):.1f} ×"
        for other in (MLFLOW, BY_HAND)
        if other != name and (other, connections) in loads
    ]
    return f"{text} {', '.join(ratios)}"


def _ratio(loads: Loads, name: str, other: str, connections: int) -> float:
    mine, its = (loads.get((each, connections)) for each in (name, other))
    if not mine or not its:
        return float("nan")
    rate = Load.median(its).rate
    return Load.median(mine).rate / rate if rate else float("nan")


def _goals(model: PlainModel, loads: Loads) -> Iterator[str]:
    """Yield the lines of the table of goals."""
    goals: list[tuple[str, float, float]] = [
        (f"× `{MLFLOW}` at {count}", least, _ratio(loads, OURS, MLFLOW, count))
        for count, least in zip(CONNECTIONS, model.least, strict=True)
    ]
    goals.append((f"× {BY_HAND} at 16", 6, _ratio(loads, OURS, BY_HAND, 16)))
    goals.append(
        ("`/invocations`, share of `/predict` at 16", 0.8, _ratio(loads, INVOKED, OURS, 16))
    )
    if (STATED, 16) in loads:
        share = _ratio(loads, OURS, STATED, 16)
        goals.append(("share of the same model with a contract at 16", 0.9, share))
    yield from ("| to reach | limit | measured |", "|---|---|---|")
    for what, least, found in goals:
        yield f"| {what} | ≥ {least:g} | {found:.2f} |"


if __name__ == "__main__":
    sys.exit(main())
