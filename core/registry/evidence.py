"""What training kept of a version for those who judge it later: scores of test rows, reference.

It lies among the version's own model artifacts, so it goes where the version goes and survives its
run, which anyone may delete. Versions registered before have it in their run only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.mlflow_client.client import TRANSFER_SECONDS
from core.mlflow_client.errors import NotFound
from core.registry.files import fetch_uri
from core.registry.runs import fetch, read_run
from core.registry.versions import Registry, Version


@dataclass(frozen=True, slots=True)
class Record:
    """Parameters and metrics of the training of a version; `complete` if its run still tells."""

    params: Mapping[str, str]
    metrics: Mapping[str, float]
    complete: bool


def fetch_evidence(
    registry: Registry, version: Version, artifact: str, folder: Path
) -> Path | None:
    """Fetch a file that training kept into a folder; None where version and run lack it."""
    if version.model_id and _holds(registry, version.model_id, artifact):
        uri = f"{version.uri}/{artifact}"
        try:
            return fetch_uri(registry.client, uri, folder, TRANSFER_SECONDS)
        except NotFound:
            pass  # removed since
    return fetch(registry, version.run_id, artifact, folder)


def training_record(registry: Registry, version: Version) -> Record:
    """Return what the training of a version measured, from its run or else its logged model.

    MLflow keeps the parameters with the model, and deletes the metrics with the run.
    """
    run = read_run(registry, version.run_id)
    if run is not None:
        return Record(run.params, run.metrics, complete=True)
    if not version.model_id:
        return Record({}, {}, complete=False)
    try:
        model = registry.client.get_logged_model(version.model_id)
    except NotFound:
        return Record({}, {}, complete=False)
    metrics = {metric.key: metric.value for metric in model.metrics or []}
    return Record(dict(model.params or {}), metrics, complete=False)


def _holds(registry: Registry, model_id: str, artifact: str) -> bool:
    try:
        listed = registry.client.list_logged_model_artifacts(model_id, str(Path(artifact).parent))
    except NotFound:
        return False
    return any(item.path == artifact for item in listed)
