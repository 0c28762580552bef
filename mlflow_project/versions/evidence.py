"""What a version was judged by: files among its own model artifacts, so that they go where it goes.

A run may be deleted and collected (`mlflow runs delete`, `mlflow gc`); the version stays. Versions
registered before have these files in their source run only, and are read there.
"""

import tempfile
from pathlib import Path

import pandas as pd
from mlflow.exceptions import MlflowException

from mlflow_project.versions.registry import Registry, Version, translated

ARTIFACT_TEST_SCORES = "evaluation/test_scores.parquet"
"""`row` (digest), `target`, `score`, `flagged`, `persistence`, groups."""
ARTIFACT_TRAINING_ROWS = "evaluation/training_rows.parquet"
"""`row` (digest) and reference year of every row that the served model was fitted on, and the score
that it gives it."""


def log_evidence(registry: Registry, model_id: str, folder: Path) -> None:
    """Put the files of a folder among the artifacts of a logged model."""
    with translated(registry.tracking_uri):
        registry.client.log_model_artifacts(model_id, str(folder))


def read_evidence(registry: Registry, version: Version, artifact: str) -> pd.DataFrame | None:
    """Return a Parquet file of a version; None where neither it nor its run has it."""
    import mlflow.artifacts

    with tempfile.TemporaryDirectory() as folder, translated(registry.tracking_uri):
        for uri in (f"{version.uri}/{artifact}", f"runs:/{version.run_id}/{artifact}"):
            try:
                path = mlflow.artifacts.download_artifacts(
                    uri, dst_path=folder, tracking_uri=registry.tracking_uri
                )
                return pd.read_parquet(path)
            except (MlflowException, OSError):
                continue
    return None
