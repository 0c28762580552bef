"""Evidently's part of the drift benchmark; runs in an environment of its own.

`python drift_evidently.py REFERENCE STORE COLUMNS` prints seconds, peak MB and drifted columns.
"""

import json
import sys
import time
from pathlib import Path

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset


def drift(reference: Path, store: Path, columns: list[str]) -> int:
    """Compare every column by PSI; return how many drifted."""
    definition = DataDefinition(numerical_columns=columns)
    before, now = (
        Dataset.from_pandas(pd.read_parquet(path, columns=columns), data_definition=definition)
        for path in (reference, store)
    )
    found = Report([DataDriftPreset(method="psi")]).run(now, before)
    return int(found.dict()["metrics"][0]["value"]["count"])


began = time.perf_counter()
drifted = drift(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3].split(","))
seconds = time.perf_counter() - began
status = Path("/proc/self/status").read_text()
peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
sys.stdout.write(json.dumps({"seconds": seconds, "peak_mb": peak, "drifted": drifted}) + "\n")
