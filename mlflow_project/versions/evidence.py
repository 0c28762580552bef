"""What a version was judged by, as frames."""

import tempfile
from pathlib import Path

import pandas as pd

from core.registry.evidence import fetch_evidence
from core.registry.versions import Registry, Version


def read_evidence(registry: Registry, version: Version, artifact: str) -> pd.DataFrame | None:
    """Return a Parquet file that training kept of a version; None where nobody has it."""
    with tempfile.TemporaryDirectory() as folder:
        path = fetch_evidence(registry, version, artifact, Path(folder))
        return None if path is None else pd.read_parquet(path)
