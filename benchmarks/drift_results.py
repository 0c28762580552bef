"""Results of the drift benchmark, as a section of benchmarks/RESULTS.md."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.results import machine

_METHODS = {
    "Evidently": "Evidently 0.7.23, PSI",
    "NannyML": "NannyML 0.13.1, Jensen-Shannon",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """Size of a benchmark run."""

    rows: int
    entities: int
    repeats: int
    rounds: int
    jobs: int


@dataclass(frozen=True, slots=True)
class Job:
    """Median seconds of the whole command and of `import mlflow`, and the page's bytes."""

    seconds: float
    import_seconds: float
    page_bytes: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Results of a benchmark run.

    Attributes:
        turns: `ours` and `bare` taking turns in one process.
        alone: `ours` in a process of its own, by store (`plain`, `people`) and multiple of rows.
        peers: each peer's medians; `skipped` has the reason why one is absent.
        estimates: metrics by estimator, and those computed from labels.
    """

    turns: Mapping[str, Mapping[str, float]]
    alone: Mapping[tuple[str, int], Mapping[str, float]]
    peers: Mapping[str, Mapping[str, float]]
    skipped: Mapping[str, str]
    estimates: Mapping[str, Mapping[str, float]]
    job: Job


def report(measured: Measured, plan: Plan) -> list[str]:
    """Return the section's lines."""
    lines = [f"Machine: {machine()}.", ""]
    lines.append(
        f"{plan.rows:,} captured rows × 14 features and the score, in Parquet files of 100,000, "
        "against a reference of 50,000; from the files to the numbers, imports not counted. "
        f"Medians: {plan.repeats} turns of ours and the bare loop in one process, {plan.rounds} "
        "rounds of the peers."
    )
    lines += ["", "| who | seconds | of processor | peak MB |", "|---|---|---|---|"]
    lines += _speeds(measured, plan)
    lines += [f"| {who} | skipped: {why} | | |" for who, why in measured.skipped.items()]
    lines += ["", "| to reach | limit | measured |", "|---|---|---|", *_goals(measured)]
    lines += ["", *_estimates(measured)]
    return lines


def _speeds(measured: Measured, plan: Plan) -> Iterator[str]:
    def line(who: str, found: Mapping[str, float], peak: float | None) -> str:
        processor = f"{found['processor']:.2f}" if "processor" in found else ""
        memory = "" if peak is None else f"{peak:.0f}"
        return f"| {who} | {found['seconds']:.2f} | {processor} | {memory} |"

    yield line("bare loop", measured.turns["bare"], None)
    yield line("ours", measured.turns["ours"], measured.alone["plain", 1]["peak_mb"])
    named = {
        ("people", 1): f"ours, latest row of each of {plan.entities:,} entities",
        ("plain", 10): "ours, ten times the rows",
        ("people", 10): "ours, ten times the rows, latest row of each entity",
    }
    for key, who in named.items():
        yield line(who, measured.alone[key], measured.alone[key]["peak_mb"])
    for peer, found in measured.peers.items():
        yield line(_METHODS[peer], found, found["peak_mb"])


def _goals(measured: Measured) -> Iterator[str]:
    """Yield a table line for each goal."""
    ours, bare = measured.turns["ours"], measured.turns["bare"]
    for peer, least in (("Evidently", "≥ 20"), ("NannyML", "> 1")):
        if peer in measured.peers:
            ratio = measured.peers[peer]["seconds"] / ours["seconds"]
            yield f"| × faster than {peer} | {least} | {ratio:.1f} |"
    ratios = [ours[unit] / bare[unit] for unit in ("seconds", "processor")]
    yield f"| × the bare loop | ≤ 1.5 | {ratios[0]:.2f} (of processor {ratios[1]:.2f}) |"
    for store, words in (("plain", ""), ("people", ", with entities")):
        once, ten = (measured.alone[store, times]["peak_mb"] for times in (1, 10))
        flat = "flat" if store == "plain" else "what telling entities apart needs"
        yield f"| peak MB, the rows ten times{words} | {flat} | {once:.0f} → {ten:.0f} |"
    job = measured.job
    parts = job.import_seconds + ours["seconds"]
    times = f"{job.seconds / parts:.2f} ({job.seconds:.1f} / {parts:.1f} s)"
    yield f"| whole job, × `import mlflow` and the comparison | ≤ 2 | {times} |"
    yield f"| HTML, KB | ≤ 500 | {job.page_bytes / 1000:.0f} |"
    if "NannyML" in measured.estimates:
        mine, theirs = (measured.estimates[who] for who in ("ours", "NannyML"))
        apart = max(abs(mine[name] - theirs[name]) for name in mine)
        yield f"| expected performance, largest distance from CBPE | ≤ 0.02 | {apart:.4f} |"


def _estimates(measured: Measured) -> Iterator[str]:
    """Yield the table of expected performance."""
    found: Mapping[str, Any] = measured.estimates
    names = list(found["ours"])
    yield "| 20,000 rows, inputs moved by half a sd | " + " | ".join(names) + " |"
    yield "|---" * (len(names) + 1) + "|"
    words = {"ours": "ours", "NannyML": "NannyML CBPE", "labels": "what labels show"}
    for who, title in words.items():
        if who in found:
            yield f"| {title} | " + " | ".join(f"{found[who][n]:.4f}" for n in names) + " |"
