"""Cost by age: of a day's report by the size of its store, of commands by versions and flips.

`python -m benchmarks.growth` (`make bench-growth`) takes half an hour and rewrites its section
of benchmarks/RESULTS.md; `--quick` measures the smallest two of each once and writes nothing. It
measures the processor time of whole commands, which other load on the machine affects least.
"""

import argparse
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks import growth_store
from benchmarks.commands import Cost, cost, medians, say
from benchmarks.drift_store import MODEL, N_REFERENCE, RELEASE, draw, write_store
from benchmarks.growth_store import FILES_A_DAY, ROWS_A_FILE
from benchmarks.processes import mlflow_server
from benchmarks.results import keep, machine
from core.contract import names
from core.store.schema import PARQUET_SUFFIX, file_stem

DAYS, VERSIONS = (1, 30, 365), (10, 200, 1000)
WINDOW = "drift_report --last_n_days 1"
_METRICS = 40
"""Metrics of a report's run, as many as a report of fourteen features logs."""


@dataclass(frozen=True, slots=True)
class Grown:
    """Median costs of a command by the amount of data."""

    command: str
    unit: str
    costs: Mapping[int, Cost]

    def line(self) -> str:
        """Return its row of the table."""
        first, last = self.costs[min(self.costs)], self.costs[max(self.costs)]
        cells = [f"{n:,} {self.unit}: {one.seconds:.2f} s" for n, one in self.costs.items()]
        most = max(one.printed for one in self.costs.values())
        ratio = last.seconds / first.seconds
        return f"| `{self.command}` | {', '.join(cells)} | {ratio:.2f} | {most:,} |"


def main() -> int:
    """Measure, print, and save the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the small ones once; keeps nothing")
    quick = parser.parse_args().quick
    os.environ.update({"OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"})
    with tempfile.TemporaryDirectory(prefix="bench-growth-") as name:
        folder = Path(name)
        with mlflow_server(folder) as uri:
            os.environ.update({"MLFLOW_TRACKING_URI": uri, "MODEL_NAME": MODEL})
            found = list(measure(folder, DAYS[:2] if quick else DAYS, quick))
            days = growth_store.DAYS[:2] if quick else growth_store.DAYS
            small = growth_store.SMALL_FILES[:2] if quick else growth_store.SMALL_FILES
            stores = list(growth_store.measure(folder, days, small))
    text = "\n".join(report(found, stores))
    sys.stdout.write(f"{text}\n")
    if not quick:
        keep("growth", "Growth", text)
    return 0


def report(found: Sequence[Grown], stores: Sequence[growth_store.Linear]) -> list[str]:
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
        "",
        "What goes through all files, once each: processor seconds and peak memory of the whole "
        "command, and what each further file costs.",
        "",
        "| command | by what there was | a file |",
        "|---|---|---|",
        *(linear.line() for linear in stores),
    ]


def measure(folder: Path, days: Sequence[int], quick: bool) -> Iterator[Grown]:
    """Grow stores and a registry, and time the commands on them in turns."""
    from benchmarks.pinned import fit_champion, register_version, training_rows

    turns = 1 if quick else 3
    register_version(MODEL, fit_champion(*training_rows()))
    reference = folder / "reference.parquet"
    pq.write_table(draw(N_REFERENCE, 0), reference)
    cost(["monitoring.build_baseline", "--model_version", RELEASE, "--source", str(reference)])
    say("a day's report")
    reports = {n: _report(folder, old_store(folder, n)) for n in days}
    yield Grown(WINDOW, "days", medians(reports, turns))
    day = folder / f"store-{min(days)}"
    commands = {
        "registry list --last 10": ["mlflow_project.registry", "list", "--last", "10"],
        "registry history --last 10": ["mlflow_project.registry", "history", "--last", "10"],
        WINDOW: _report(folder, day),
        "monitoring.history": ["monitoring.history", "--output", str(folder / "history.parquet")],
        "registry rollback": ["mlflow_project.registry", "rollback", "--reason", "growth"],
    }
    yield from _registry(VERSIONS[:2] if quick else VERSIONS, commands, turns)


def _report(folder: Path, store: Path) -> list[str]:
    words = [f"monitoring.{WINDOW}", "--inference_store", str(store)]
    return [*" ".join(words).split(), "--output", str(folder / "reports")]


def _registry(
    counts: Sequence[int], commands: Mapping[str, Sequence[str]], turns: int
) -> Iterator[Grown]:
    """Time commands while versions, flips and reports' runs are added."""
    costs: dict[str, dict[int, Cost]] = defaultdict(dict)
    there = 1
    for count in counts:
        say(f"{count} versions, flips and runs")
        add_versions(count - there)
        there = count
        for name, words in commands.items():
            costs[name] |= medians({count: words}, turns)
    for name, found in costs.items():
        yield Grown(name, "versions, flips and runs", found)


def old_store(folder: Path, days: int) -> Path:
    """Return a store whose files, hard links to one of them, go back so many days."""
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
    """Register the champion's artifacts `count` more times, each with a flip and a report's run.

    A last flip goes back to the first version.
    """
    import mlflow

    from core.registry.versions import open_registry
    from mlflow_project.flips.ledger import Ledger

    client, ledger = mlflow.MlflowClient(), Ledger(open_registry())
    first = client.get_model_version(MODEL, "1")
    experiment = client.get_experiment_by_name(names.monitoring_experiment(MODEL))
    number = 0
    for _ in range(count):
        made = client.create_model_version(
            MODEL, first.source, await_creation_for=0, model_id=first.source.split("/")[-1]
        )
        number = int(made.version)
        facts = {"before": str(number - 1), "after": str(number), "previous": str(number - 1)}
        ledger.record(names.LEDGER_PROMOTE, "growth", **facts)
        _add_report(client, experiment.experiment_id)
    ledger.record(
        names.LEDGER_PROMOTE, "growth", before=str(number), after="1", previous=str(number)
    )
    client.set_registered_model_alias(MODEL, names.CHAMPION, "1")
    client.set_registered_model_alias(MODEL, names.PREVIOUS, str(number))


def _add_report(client: Any, experiment: str) -> None:
    from mlflow.entities import Metric

    tags = {
        names.TAG_JOB: "drift",
        names.TAG_STATUS: "GREEN",
        names.TAG_RELEASE: RELEASE,
        names.TAG_REGISTRY_VERSION: "1",
    }
    run = client.create_run(experiment, tags=tags).info.run_id
    client.log_batch(run, [Metric(f"psi_{n}", 0.1, 0, 0) for n in range(_METRICS)])
    client.set_terminated(run)


if __name__ == "__main__":
    sys.exit(main())
