"""NannyML's part of the drift benchmark; runs in an environment of its own.

`python drift_nannyml.py drift REFERENCE STORE COLUMNS` prints seconds, peak MB, drifted columns;
`python drift_nannyml.py cbpe REFERENCE WINDOW` prints the window's estimated performance.
"""

import json
import sys
import time
import warnings
from pathlib import Path

import nannyml
import pandas as pd

PROBLEM = {
    "problem_type": "classification_binary",
    "y_pred_proba": "score",
    "y_pred": "label",
    "y_true": "target",
}


def drift(reference: Path, store: Path, columns: list[str]) -> int:
    """Compare every column by Jensen-Shannon distance of binned values; return how many drifted."""
    before, now = (pd.read_parquet(path, columns=columns) for path in (reference, store))
    calculator = nannyml.UnivariateDriftCalculator(
        column_names=columns, continuous_methods=["jensen_shannon"], chunk_number=10
    )
    found = calculator.fit(before).calculate(now).filter(period="analysis").to_df()
    return int(sum(found[name, "jensen_shannon", "alert"].any() for name in columns))


def cbpe(reference: Path, window: Path) -> dict[str, float]:
    """Return one window's metrics by confidence-based performance estimation."""
    names = ["roc_auc", "precision", "recall", "confusion_matrix"]
    estimator = nannyml.CBPE(**PROBLEM, metrics=names, chunk_number=1)
    found = estimator.fit(pd.read_parquet(reference)).estimate(pd.read_parquet(window))
    row = found.filter(period="analysis").to_df().iloc[0]
    tp, fp, fn = (
        row[f"{name}", "value"] for name in ("true_positive", "false_positive", "false_negative")
    )
    return {
        **{name: float(row[name, "value"]) for name in names[:3]},
        "f2": float(5 * tp / (5 * tp + 4 * fn + fp)),
    }


warnings.simplefilter("ignore")
began = time.perf_counter()
paths = Path(sys.argv[2]), Path(sys.argv[3])
if sys.argv[1] == "cbpe":
    result = cbpe(*paths)
else:
    drifted = drift(*paths, sys.argv[4].split(","))
    seconds = time.perf_counter() - began
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
    result = {"seconds": seconds, "peak_mb": peak, "drifted": drifted}
sys.stdout.write(json.dumps(result) + "\n")
