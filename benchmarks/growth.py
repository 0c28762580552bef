"""How cost grows with age: a day's report as its store grows, commands as versions and flips do.

`python -m benchmarks.growth` (`make bench-growth`) takes about ten minutes and rewrites its section
of benchmarks/RESULTS.md; `--quick` measures the smallest two of each once and writes nothing. What
is counted is processor time of the whole command, which a noisy machine changes least.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.drift_store import MODEL, N_REFERENCE, RELEASE, draw, write_store
from benchmarks.processes import ROOT, mlflow_server
from benchmarks.results import keep, machine
from core.store.schema import PARQUET_SUFFIX, file_stem

DAYS, VERSIONS = (1, 30, 365), (10, 200, 1000)
FILES_A_DAY, ROWS_A_FILE = 100, 20
LIST, HISTORY = "registry list --last 10", "registry history --last 10"
WINDOW = "drift_report --last_n_days 1"


@dataclass(frozen=True, slots=True)
class Grown:
    """Median processor seconds of a command, by how much there was, and what was measured of it."""

    command: str
    unit: str
    seconds: Mapping[int, float]
    printed: Mapping[int, int]

    def line(self) -> str:
        """Return its line of the table."""
        first, last = min(self.seconds), max(self.seconds)
        cells = [f"{n:,} {self.unit}: {s:.2f} s" for n, s in self.seconds.items()]
        ratio = self.seconds[last] / self.seconds[first]
        most = max(self.printed.values())
        return f"| `{self.command}` | {', '.join(cells)} | {ratio:.2f} | {most:,} |"


def main() -> int:
    """Measure, print, and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the small ones once; keeps nothing")
    quick = parser.parse_args().quick
    os.environ.update({"OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"})
    with tempfile.TemporaryDirectory(prefix="bench-growth-") as folder:
        found = list(measure(Path(folder), DAYS[:2] if quick else DAYS, quick))
    text = "\n".join(report(found))
    sys.stdout.write(f"{text}\n")
    if not quick:
        keep("growth", "Growth", text)
    return 0


def report(found: Sequence[Grown]) -> list[str]:
    """Return the section's lines."""
    return [
        f"Machine: {machine()}.",
        "",
        f"Processor seconds of whole commands, medians of turns. Files: {FILES_A_DAY} a day of "
        f"{ROWS_A_FILE} rows, never compacted. Bytes: the most that the command printed.",
        "",
        "| command | by what there was | largest ÷ smallest | bytes |",
        "|---|---|---|---|",
        *(grown.line() for grown in found),
    ]


def measure(folder: Path, days: Sequence[int], quick: bool) -> Iterator[Grown]:
    """Start MLflow, grow stores and a registry, time the commands on them in turns."""
    from benchmarks.pinned import fit_champion, register_version, training_rows

    turns = 1 if quick else 3
    with mlflow_server(folder) as uri:
        os.environ.update({"MLFLOW_TRACKING_URI": uri, "MODEL_NAME": MODEL})
        register_version(MODEL, fit_champion(*training_rows()))
        reference = folder / "reference.parquet"
        pq.write_table(draw(N_REFERENCE, 0), reference)
        _run(["monitoring.build_baseline", "--model_version", RELEASE, "--source", str(reference)])
        stores = {count: old_store(folder, count) for count in days}
        report_of = {
            count: [*WINDOW.split(), "--inference_store", str(store)]
            for count, store in stores.items()
        }
        output = ["--output", str(folder / "reports")]
        say("a day's report")
        yield _grown(
            WINDOW,
            "days",
            {n: [f"monitoring.{words[0]}", *words[1:], *output] for n, words in report_of.items()},
            turns,
        )
        yield from _registry(VERSIONS[:2] if quick else VERSIONS, turns)


def _registry(counts: Sequence[int], turns: int) -> Iterator[Grown]:
    """Time the registry's commands while versions and flips are added."""
    seconds: dict[str, dict[int, float]] = defaultdict(dict)
    printed: dict[str, dict[int, int]] = defaultdict(dict)
    there = 1
    for count in counts:
        say(f"{count} versions and flips")
        add_versions(count - there)
        there = count
        for command in (LIST, HISTORY):
            name, *words = command.split()
            grown = _grown(command, "", {count: [f"mlflow_project.{name}", *words]}, turns)
            seconds[command] |= grown.seconds
            printed[command] |= grown.printed
    for command in (LIST, HISTORY):
        yield Grown(command, "versions", seconds[command], printed[command])


def old_store(folder: Path, days: int) -> Path:
    """Return a store whose files go back so many days; those before the last day are links."""
    store, day = folder / f"store-{days}", folder / "day"
    if not day.exists():
        write_store(day, ROWS_A_FILE)
    (template,) = day.glob(f"*{PARQUET_SUFFIX}")
    store.mkdir()
    now = datetime.now(UTC)
    for number in range(days * FILES_A_DAY):
        opened = now - timedelta(days=1) * (number / FILES_A_DAY) - timedelta(hours=1)
        stem = file_stem(opened, str(number), 1)
        (store / f"{stem}{PARQUET_SUFFIX}").hardlink_to(template)
    return store


def add_versions(count: int) -> None:
    """Register the champion's files so many times more, each with an entry of the ledger."""
    import mlflow

    from core.registry.versions import open_registry
    from mlflow_project.flips.ledger import PROMOTE, Ledger

    client = mlflow.MlflowClient()
    first = client.get_model_version(MODEL, "1")
    ledger = Ledger(open_registry())
    for _ in range(count):
        made = client.create_model_version(
            MODEL, first.source, await_creation_for=0, model_id=first.source.split("/")[-1]
        )
        number = int(made.version)
        facts = {"before": str(number - 1), "after": str(number), "previous": str(number - 1)}
        ledger.record(PROMOTE, "growth", **facts)


def _grown(command: str, unit: str, of: Mapping[int, list[str]], turns: int) -> Grown:
    seconds: dict[int, list[float]] = {count: [] for count in of}
    printed = {}
    for _ in range(turns):
        for count, words in of.items():
            used, printed[count] = _run(words)
            seconds[count].append(used)
    medians = {count: statistics.median(found) for count, found in seconds.items()}
    return Grown(command, unit, medians, printed)


def _run(words: Sequence[str]) -> tuple[float, int]:
    """Run one of our commands; return its processor seconds and the bytes that it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=ROOT, check=False, capture_output=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{words[0]} ended with: {done.stderr.decode()[-300:]}")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, len(done.stdout)


def say(text: str) -> None:
    """Tell what is being done."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")


if __name__ == "__main__":
    sys.exit(main())
