"""Speed of the drift comparison beside its peers and a bare loop, and time of a whole job.

`python -m benchmarks.drift` (`make bench-drift`) takes up to eight minutes and rewrites its section
of benchmarks/RESULTS.md; `--quick` measures a tenth of the rows once and writes nothing. Ours and
the bare loop take turns in one process, each peer has its own; imports count in the whole job only.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks import drift_expected
from benchmarks.drift_results import Job, Measured, Plan, report
from benchmarks.drift_store import MODEL, N_REFERENCE, draw, repeat_store, write_store
from benchmarks.environments import Unavailable, environment
from benchmarks.processes import ROOT, mlflow_server
from benchmarks.results import keep
from mlflow_project.dataset.risk import FEATURE_NAMES

FULL = Plan(rows=1_000_000, entities=200_000, repeats=7, rounds=2, jobs=3)
QUICK = Plan(rows=100_000, entities=20_000, repeats=3, rounds=1, jobs=1)
_ENVIRON = {
    "OMP_NUM_THREADS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "DO_NOT_TRACK": "1",
    "NML_DISABLE_USAGE_LOGGING": "1",
}


class Failed(Exception):
    """A command that ended with an error; the message has the last line of its output."""


def main() -> int:
    """Measure, print, and save the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of it; keeps nothing")
    plan = QUICK if parser.parse_args().quick else FULL
    os.environ.update(_ENVIRON)
    with tempfile.TemporaryDirectory(prefix="bench-drift-") as folder:
        measured = measure(plan, Path(folder))
    text = "\n".join(report(measured, plan))
    sys.stdout.write(f"{text}\n")
    if plan is FULL:
        keep("drift", "Drift", text)
    return 0


def measure(plan: Plan, folder: Path) -> Measured:
    """Write the stores, time all contenders on them, and run the whole job."""
    say("writing the stores")
    reference, plain, people = (folder / name for name in ("reference.parquet", "plain", "people"))
    pq.write_table(draw(N_REFERENCE, 0), reference)
    write_store(plain, plan.rows)
    write_store(people, plan.rows, plan.entities)
    for store in (plain, people):
        repeat_store(store, folder / f"{store.name}-10", 10)
    say("ours and the bare loop, taking turns")
    found = _contenders(plain, reference, "--repeats", str(plan.repeats))
    alone = {
        (store.name, times): _contenders(path, reference, "--who", "ours")["ours"]
        for store in (plain, people)
        for times, path in ((1, store), (10, folder / f"{store.name}-10"))
    }
    peers, skipped = _peers(plan, reference, plain)
    estimates, missing = _estimates(folder)
    job = _job(plan, folder, reference, plain)
    return Measured(found, alone, peers, skipped | missing, estimates, job)


def say(text: str) -> None:
    """Print a progress line to stderr."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")


def _contenders(store: Path, reference: Path, *more: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.drift_contenders", store, reference, *more]
    return _answer(command)


def _peers(
    plan: Plan, reference: Path, store: Path
) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """Run the peers in turns; return their medians, and the reason for each that failed."""
    columns = ",".join([*FEATURE_NAMES, "score"])
    runs: dict[str, list[dict[str, float]]] = {"Evidently": [], "NannyML": []}
    skipped = {}
    for number in range(plan.rounds):
        for peer, before in (("Evidently", []), ("NannyML", ["drift"])):
            say(f"{peer}, round {number + 1} of {plan.rounds}")
            try:
                arguments = [*before, reference, store, columns]
                runs[peer].append(_answer(_script(peer, arguments)))
            except (Unavailable, Failed) as exc:
                skipped[peer] = str(exc)
    medians = {
        peer: {key: statistics.median(run[key] for run in found) for key in found[0]}
        for peer, found in runs.items()
        if found
    }
    return medians, skipped


def _estimates(folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the metrics of one window by estimator and by its labels, and skipped estimators."""
    say("performance without labels")
    reference, window = drift_expected.write_frames(folder)
    found = {"ours": drift_expected.expected(window), "labels": drift_expected.shown(window)}
    try:
        found["NannyML"] = _answer(_script("NannyML", ["cbpe", reference, window]))
    except (Unavailable, Failed) as exc:
        return found, {"CBPE": str(exc)}
    return found, {}


def _job(plan: Plan, folder: Path, reference: Path, store: Path) -> Job:
    """Run the whole command against a live MLflow server, in turns with a bare import."""
    from benchmarks.pinned import fit_champion, register_version, training_rows

    say("the whole job")
    output = folder / "reports"
    with mlflow_server(folder) as uri:
        os.environ.update({"MLFLOW_TRACKING_URI": uri, "MODEL_NAME": MODEL})
        register_version(MODEL, fit_champion(*training_rows()))
        _timed([sys.executable, "-m", "monitoring.build_baseline", "--source", reference])
        command = [sys.executable, "-m", "monitoring.drift_report", "--output", output]
        command += ["--inference_store", store]
        jobs, imports = [], []
        for _ in range(plan.jobs):
            imports.append(_timed([sys.executable, "-c", "import mlflow"]))
            jobs.append(_timed(command))
    page = next(output.rglob("*.html"))
    return Job(statistics.median(jobs), statistics.median(imports), page.stat().st_size)


def _timed(command: Sequence[str | Path]) -> float:
    began = time.perf_counter()
    _run(command)
    return time.perf_counter() - began


def _script(peer: str, arguments: Sequence[str | Path]) -> list[str | Path]:
    name = peer.lower()
    script = Path(__file__).with_name(f"drift_{name}.py")
    return [environment(name) / "bin" / "python", script, *arguments]


def _answer(command: Sequence[str | Path]) -> dict[str, Any]:
    """Return the JSON object in the last line of a command's output."""
    return dict(json.loads(_run(command).splitlines()[-1]))


def _run(command: Sequence[str | Path]) -> str:
    done = subprocess.run(
        [str(word) for word in command], cwd=ROOT, check=False, capture_output=True, text=True
    )
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["nothing"]
        raise Failed(f"{Path(command[0]).parents[1].name} ended with: {said[-1][:200]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
