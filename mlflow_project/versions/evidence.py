"""What a version was judged by: files among its own model artifacts, so that they go where it goes.

A run may be deleted and collected (`mlflow runs delete`, `mlflow gc`); the version stays. Versions
registered before have these files in their source run only, and are read there.
"""

import tempfile
from pathlib import Path

import pandas as pd

from core.registry.packages import version_file
from core.registry.versions import Registry, Version

ARTIFACT_TEST_SCORES = "evaluation/test_scores.parquet"
"""`row` (digest), `target`, `score`, `flagged`, `persistence`, groups."""
ARTIFACT_TRAINING_ROWS = "evaluation/training_rows.parquet"
"""`row` (digest) and reference year of every row that the served model was fitted on, and the score
that it gives it."""


def read_evidence(registry: Registry, version: Version, artifact: str) -> pd.DataFrame | None:
    """Return a Parquet file of a version; None where neither it nor its run has it."""
    with tempfile.TemporaryDirectory() as folder:
        path = version_file(registry, version, artifact, Path(folder))
        return None if path is None else pd.read_parquet(path)
