"""What a version was judged by, as frames."""

import pandas as pd

from core.files.scratch import scratch_folder
from core.registry.evidence import fetch_evidence
from core.registry.versions import Registry, Version


def read_evidence(registry: Registry, version: Version, artifact: str) -> pd.DataFrame | None:
    """Return a Parquet file that training kept of a version; None where nobody has it."""
    with scratch_folder() as folder:
        path = fetch_evidence(registry, version, artifact, folder)
        return None if path is None else pd.read_parquet(path)
