"""Results of the serving benchmark, as a section of benchmarks/RESULTS.md."""

import os
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks import contention, load
from benchmarks.results import machine

CONNECTIONS = (1, 16, 64)
OURS, TWO, CHAMPION = "ours", "ours, 2 workers", "ours, champion"
SHADOWED = "ours, with a shadow"
CEILING, BARE, TWO_BARE = "ceiling", "ceiling, no router", "ceiling, no router, 2 workers"
MLFLOW = "mlflow models serve"
ONLY_AT_MOST = (TWO, TWO_BARE)
"""Servers that are loaded only over the highest number of connections."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Size of a benchmark run."""

    rounds: int
    seconds: float
    starts: int
    rows_for_memory: int


@dataclass(slots=True)
class Measured:
    """Results of a benchmark run.

    Attributes:
        loads: of each round, by server and connections.
        memory: MB by server.
    """

    loads: dict[tuple[str, int], list[load.Load]]
    memory: dict[str, float]
    skipped: dict[str, str]
    large_ms: tuple[float, float]
    beside: contention.Contention
    growth_mb: tuple[float, float]
    start_s: tuple[float, float]

    def ratio(self, name: str, other: str, connections: int, number: str = "rate") -> float:
        """Return the median of the rounds' ratios of two servers; NaN where one is missing."""
        pairs = zip(
            self.loads.get((name, connections), ()),
            self.loads.get((other, connections), ()),
            strict=False,
        )
        ratios = [getattr(mine, number) / getattr(its, number) for mine, its in pairs]
        return statistics.median(ratios) if ratios else float("nan")


def report(measured: Measured, plan: Plan) -> list[str]:
    """Return the section's lines."""
    lines = [f"Machine: {machine()}.", ""]
    lines.append(
        f"Medians of {plan.rounds} rounds of {plan.seconds:g} s, all servers up and taking turns, "
        "wrk over loopback, one row a request, one worker each; requests/s (p50 / p99 in ms). "
        "Ratios are medians of the rounds' own."
    )
    lines += [
        "",
        "| server | " + " | ".join(f"{c} connections" for c in CONNECTIONS) + " | worker MB |",
    ]
    lines.append("|---" * (len(CONNECTIONS) + 2) + "|")
    for name in dict.fromkeys(name for name, _ in measured.loads):
        cells = [_cell(measured.loads.get((name, c))) for c in CONNECTIONS]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {measured.memory[name]:.0f} |")
    lines += [f"| {name} | skipped: {why} |||| |" for name, why in measured.skipped.items()]
    return [*lines, "", "| to reach | limit | measured |", "|---|---|---|", *_goals(measured)]


def _cell(turns: Sequence[load.Load] | None) -> str:
    if not turns:
        return ""
    found = load.Load.median(turns)
    failed = f", {found.failed} failed" if found.failed else ""
    return f"{found.rate:,.0f} ({found.p50:.2f} / {found.p99:.2f}{failed})"


def _goals(measured: Measured) -> Iterator[str]:
    """Yield a table line for each goal."""
    ratio = measured.ratio
    for connections, least in ((1, 10), (16, 50), (64, 50)):
        times = ratio(OURS, MLFLOW, connections)
        yield f"| × `{MLFLOW}` at {connections} | ≥ {least} | {times:.1f} |"
    for ceiling, limit in ((CEILING, "≥ 0.75"), (BARE, "")):
        for connections in (16, 64):
            share = ratio(OURS, ceiling, connections)
            yield f"| share of the {ceiling} at {connections} | {limit} | {share:.2f} |"
    yield f"| p99 at 16, × the ceiling's | ≤ 3 | {ratio(OURS, CEILING, 16, 'p99'):.1f} |"
    asked, worked = measured.large_ms
    both = f"{asked / worked:.2f} ({asked:.1f} / {worked:.1f} ms)"
    yield f"| 1,000 rows, × bare predict_proba and JSON | ≤ 2 | {both} |"
    yield from contention.goals(measured.beside)
    yield f"| two workers, × one, at 64 | ≥ 1.6 | {ratio(TWO, OURS, 64):.2f} |"
    yield from _what_cores_allow(measured)
    yield f"| the same of the {BARE} | | {ratio(TWO_BARE, BARE, 64):.2f} |"
    for connections in (1, 64):
        share = ratio(SHADOWED, OURS, connections)
        yield f"| {SHADOWED}, × without, at {connections} | ≥ 0.5 | {share:.2f} |"
    memory = measured.memory.get(OURS, float("nan")) / measured.memory.get(MLFLOW, float("nan"))
    yield f"| memory, × `{MLFLOW}` | ≤ 1 | {memory:.2f} |"
    before, after = measured.growth_mb
    yield f"| memory over 1,000,000 predictions, MB | flat | {before:.0f} → {after:.0f} |"
    ready, bare = measured.start_s
    both = f"{ready / bare:.2f} ({ready:.1f} / {bare:.1f} s)"
    yield f"| start to /ready, × bare imports | ≤ 1.5 | {both} |"


def _what_cores_allow(measured: Measured) -> Iterator[str]:
    """Yield the cores' utilisation, and the most that two workers could reach on these cores."""
    turns = [measured.loads.get((name, 64)) for name in (OURS, TWO)]
    one, two = (load.Load.median(found) if found else None for found in turns)
    if one is None or two is None:
        return
    cores = os.cpu_count() or 1
    busy = ", ".join(f"{found.server_cores:.2f} + {found.wrk_cores:.2f}" for found in (one, two))
    yield f"| cores busy then, server + wrk: one worker, two | {cores} | {busy} |"
    most = cores / (one.server_cores + one.wrk_cores)
    yield f"| two workers, × one, if they filled all {cores} at no loss | | {most:.2f} |"
