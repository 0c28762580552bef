"""Our comparison of a store with a baseline, and a bare loop, the minimum of any such job.

`python -m benchmarks.drift_contenders STORE REFERENCE --who ours,bare --repeats 5` lets them take
turns in one process and prints, for each, the median seconds (wall clock and processor) and the
process's peak memory in MB, as JSON.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from benchmarks.drift_store import MODEL, RELEASE
from core.captured.reader import Captures
from core.captured.selection import Selection
from core.store.filesystem import Store
from mlflow_project.dataset.risk import build_contract
from monitoring.drift.baseline import Baseline
from monitoring.drift.comparison import compare
from monitoring.drift.expected import FLAG, ScoreTally
from monitoring.drift.fitting import fit_baseline

Edges = Mapping[str, npt.NDArray[np.float64]]


def ours(store: Path, baseline: Baseline) -> int:
    """Compare as the job does between baseline and report; return the number of rows compared."""
    now = datetime.now(UTC)
    features = build_contract(RELEASE, 0.5, {}, 0.5).features
    captures = Captures(
        Store(store),
        Selection(MODEL, 1, now - timedelta(days=7), now),
        {feature.name: feature.type for feature in features},
    )
    tally = ScoreTally()
    result = compare(baseline, tally.watch(captures.batches((FLAG,))))
    tally.estimate()
    return result.n_current


def bare(store: Path, edges: Edges) -> int:
    """Count each column by bin, without selection, missing rates, means or estimates."""
    counts = {name: np.zeros(len(cuts) + 1, dtype=np.int64) for name, cuts in edges.items()}
    for batch in ds.dataset(store, format="parquet").to_batches(columns=list(edges)):
        for name, cuts in edges.items():
            values = batch.column(name).to_numpy(zero_copy_only=False)
            counts[name] += np.bincount(np.searchsorted(cuts, values), minlength=len(cuts) + 1)
    return int(counts["score"].sum())


def bare_edges(baseline: Baseline) -> Edges:
    """Return the bin edges or values of each column."""
    profiles = [*baseline.features, *([baseline.score] if baseline.score else [])]
    return {p.name: np.array(p.binning.points, dtype=np.float64) for p in profiles}


def peak_mb() -> float:
    """Return this process's peak resident memory in MB; `ru_maxrss` would include its parent's."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> None:
    """Measure and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("reference", type=Path)
    parser.add_argument("--who", default="ours,bare")
    parser.add_argument("--repeats", type=int, default=1)
    args = parser.parse_args()
    baseline = fit_baseline(pq.read_table(args.reference))
    edges = bare_edges(baseline)
    known: Mapping[str, Callable[[], int]] = {
        "ours": lambda: ours(args.store, baseline),
        "bare": lambda: bare(args.store, edges),
    }
    clock: dict[str, list[float]] = {name: [] for name in args.who.split(",")}
    processor: dict[str, list[float]] = {name: [] for name in clock}
    rows = {}
    for _ in range(args.repeats):
        for name in clock:
            began, used = time.perf_counter(), time.process_time()
            rows[name] = known[name]()
            clock[name].append(time.perf_counter() - began)
            processor[name].append(time.process_time() - used)
    found = {
        name: {
            "seconds": statistics.median(clock[name]),
            "processor": statistics.median(processor[name]),
            "rows": rows[name],
            "peak_mb": peak_mb(),
        }
        for name in clock
    }
    sys.stdout.write(f"{json.dumps(found)}\n")


if __name__ == "__main__":
    main()
