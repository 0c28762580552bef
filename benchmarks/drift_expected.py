"""Performance estimated without labels, ours and NannyML's CBPE, on a window with known labels."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from core.metrics.classification import metrics
from monitoring.drift.expected import ScoreTally

NAMES = ("recall", "precision", "f2", "roc_auc")
ROWS = 20_000
THRESHOLD = 0.4


def write_frames(folder: Path) -> tuple[Path, Path]:
    """Write a labelled reference and a window with shifted inputs; return both paths.

    The scores are a calibrated boosting's, fitted on other rows of the reference's distribution.
    """
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import HistGradientBoostingClassifier

    rng = np.random.default_rng(0)
    boosting = HistGradientBoostingClassifier(max_iter=60, max_depth=3, random_state=0)
    model = CalibratedClassifierCV(boosting, method="sigmoid", cv=3)
    model.fit(*_rows(rng, 0.0))
    paths = folder / "labelled.parquet", folder / "window.parquet"
    for path, shift in zip(paths, (0.0, 0.5), strict=True):
        inputs, target = _rows(rng, shift)
        score = model.predict_proba(inputs)[:, 1]
        label = (score >= THRESHOLD).astype(int)
        pd.DataFrame({"score": score, "label": label, "target": target}).to_parquet(path)
    return paths


def expected(window: Path) -> Mapping[str, float]:
    """Return our estimate of the window's metrics, which does not use its targets."""
    frame = pd.read_parquet(window)
    tally = ScoreTally()
    tally.add(frame["score"].to_numpy(), frame["label"].to_numpy())
    found = tally.estimate()
    return {name: float(getattr(found, name).value) for name in NAMES}


def shown(window: Path) -> Mapping[str, float]:
    """Return the window's metrics computed from its targets."""
    frame = pd.read_parquet(window)
    found = metrics(frame["target"], frame["score"], frame["label"])
    return {name: found[name] for name in NAMES}


def _rows(rng: np.random.Generator, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw inputs (ROWS, 5), the first two shifted by `shift`, and targets by a fixed model."""
    inputs = rng.normal(size=(ROWS, 5))
    inputs[:, :2] += shift
    logit = inputs @ np.array([1.2, -0.4, 0.8, 0.0, 0.5]) + 0.6 * inputs[:, 0] * inputs[:, 2] - 0.5
    return inputs, (rng.random(ROWS) < 1 / (1 + np.exp(-logit))).astype(int)
