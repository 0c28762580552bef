"""Evidence that training stored for the later evaluation of a version: test scores, reference rows.

It is among the version's own model artifacts, so it is copied with the version and survives
deletion of the run. Versions of older releases have it in their run only.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.mlflow_client.client import TRANSFER_SECONDS
from core.mlflow_client.errors import NotFound
from core.registry.files import fetch_uri
from core.registry.runs import fetch, read_run
from core.registry.versions import Registry, Version


@dataclass(frozen=True, slots=True)
class Record:
    """Parameters and metrics of a version's training; `complete` if its run still exists."""

    params: Mapping[str, str]
    metrics: Mapping[str, float]
    complete: bool


def fetch_evidence(
    registry: Registry, version: Version, artifact: str, folder: Path
) -> Path | None:
    """Download a file of evidence into a folder; return None where version and run lack it."""
    client = registry.client
    if version.model_id:
        with suppress(NotFound):
            place = str(Path(artifact).parent)
            listed = client.list_logged_model_artifacts(version.model_id, place)
            if any(item.path == artifact for item in listed):
                return fetch_uri(client, f"{version.uri}/{artifact}", folder, TRANSFER_SECONDS)
    return fetch(registry, version.run_id, artifact, folder)


def training_record(registry: Registry, version: Version) -> Record:
    """Return the parameters and metrics of a version, from its run or else its logged model.

    MLflow keeps the parameters with the model, and deletes the metrics with the run.
    """
    run = read_run(registry, version.run_id)
    if run is not None:
        return Record(run.params, run.metrics, complete=True)
    if version.model_id:
        with suppress(NotFound):
            model = registry.client.get_logged_model(version.model_id)
            metrics = {metric.key: metric.value for metric in model.metrics or []}
            return Record(dict(model.params or {}), metrics, complete=False)
    return Record({}, {}, complete=False)
