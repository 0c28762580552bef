"""Cost of a rehearsal relative to the champion's batch scoring, on as many rows of the same kind.

`python -m benchmarks.rehearsal` (a million rows; about five minutes) rewrites its section of
benchmarks/RESULTS.md; `--rows` measures fewer and writes nothing. Both are whole commands, measured
in wall clock and processor seconds, with one thread each.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.drift_store import MODEL, RELEASE, draw, write_store
from benchmarks.processes import ROOT, mlflow_server
from benchmarks.results import keep, machine

ROWS = 1_000_000
SCORE, REHEARSE = "serving.score", "monitoring.rehearsal"


def main() -> int:
    """Measure, print, and save the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    rows = parser.parse_args().rows
    os.environ.update({"OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"})
    with tempfile.TemporaryDirectory(prefix="bench-rehearsal-") as folder:
        found = measure(Path(folder), rows)
    text = "\n".join(report(rows, found))
    sys.stdout.write(f"{text}\n")
    if rows == ROWS:
        keep("rehearsal", "Rehearsal", text)
    return 0


def report(rows: int, found: dict[str, tuple[float, float, float]]) -> list[str]:
    """Return the section's lines."""
    ratio = found[REHEARSE][0] / found[SCORE][0]
    return [
        f"Machine: {machine()}.",
        "",
        f"Whole commands on {rows:,} captured rows, one thread a model. A rehearsal is "
        f"{ratio:.2f} × the champion's batch scoring (at most 2 is asked for).",
        "",
        "| command | seconds | processor seconds | peak MB |",
        "|---|---|---|---|",
        *(f"| `{name}` | {s:.1f} | {cpu:.1f} | {mb:.0f} |" for name, (s, cpu, mb) in found.items()),
    ]


def measure(folder: Path, rows: int) -> dict[str, tuple[float, float, float]]:
    """Return seconds, processor seconds and peak memory in MB of both commands, by module."""
    from benchmarks.pinned import fit_champion, register_version, training_rows

    with mlflow_server(folder) as uri:
        os.environ.update({"MLFLOW_TRACKING_URI": uri, "MODEL_NAME": MODEL})
        model = fit_champion(*training_rows())
        register_version(MODEL, model)
        register_version(MODEL, model, alias="challenger")
        source, store = folder / "rows.parquet", folder / "store"
        write_store(store, rows)
        pq.write_table(draw(rows, 1000).drop_columns(["score"]), source)
        os.environ["INFERENCE_STORE"] = str(folder / "scored")
        score = ["--source", str(source), "--output", str(folder / "scored.parquet")]
        rehearse = ["--model_version", RELEASE, "--inference_store", str(store)]
        return {
            SCORE: _run([SCORE, *score]),
            REHEARSE: _run([REHEARSE, *rehearse, "--reports", str(folder / "reports")]),
        }


def _run(words: list[str]) -> tuple[float, float, float]:
    """Run a module; return its seconds, its processor seconds and its peak memory in MB."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", *words], cwd=ROOT, stdout=subprocess.DEVNULL)
    _pid, status, used = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{words[0]} ended with {status}")
    seconds = time.perf_counter() - began
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
