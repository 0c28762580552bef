"""Save an MLflow run as plain data and files, and recreate it on another server."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

from core.mlflow_client.client import Client
from core.registry.runs import experiment_id
from core.registry.versions import Registry

_BOUND = ("mlflow.log-model.history", "mlflow.parentRunId", "mlflow.rootRunId")
"""Run tags that refer to other runs and models of their server."""
_AT_ONCE = 100
"""Most entities of one kind that MLflow accepts in one request."""


def save_run(client: Client, run_id: str, folder: Path) -> None:
    """Write a run's facts to `run.json` and its artifacts below `artifacts/` of a new folder."""
    run = client.get_run(run_id)
    points = [p for key in sorted(run.data.metrics) for p in client.get_metric_history(run_id, key)]
    inputs = run.inputs.dataset_inputs if run.inputs else []
    facts = {
        "run_id": run_id,
        "name": run.info.run_name,
        "start_time": run.info.start_time,
        "end_time": run.info.end_time,
        "params": dict(run.data.params),
        "metrics": [[p.key, p.value, p.timestamp, p.step] for p in points],
        "tags": {k: v for k, v in run.data.tags.items() if k not in _BOUND},
        "datasets": [
            [dict(entry.dataset), {tag.key: tag.value for tag in entry.tags}] for entry in inputs
        ],
    }
    folder.mkdir(parents=True)
    text = json.dumps(facts, ensure_ascii=False, indent=1)
    (folder / "run.json").write_text(text, encoding="utf-8")
    artifacts = folder / "artifacts"
    artifacts.mkdir()
    for item in client.list_artifacts(run_id):
        client.download_artifacts(run_id, item.path, str(artifacts))


@contextmanager
def loaded_run(registry: Registry, folder: Path, experiment: str) -> Iterator[str]:
    """Recreate a run in `experiment` (by name) from the files of `save_run`; yield its id.

    If the block succeeds the run is ended, at the time at which the saved one ended.
    """
    client = registry.client
    facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    identity = experiment_id(registry, experiment)
    run = client.create_run(identity, facts["start_time"], run_name=facts["name"])
    run_id = str(run.info.run_id)
    tags = {**facts["tags"], "imported_from_run": facts["run_id"]}
    logged: dict[str, list[Any]] = {
        "tags": [RunTag(k, v) for k, v in tags.items()],
        "params": [Param(k, v) for k, v in facts["params"].items()],
        "metrics": [Metric(*point) for point in facts["metrics"]],
    }
    for kind, entities in logged.items():
        for start in range(0, len(entities), _AT_ONCE):
            client.log_batch(run_id, **{kind: entities[start : start + _AT_ONCE]})
    if facts["datasets"]:
        client.log_inputs(run_id, [_input(*entry) for entry in facts["datasets"]])
    if (folder / "artifacts").is_dir():
        client.log_artifacts(run_id, str(folder / "artifacts"))
    yield run_id
    client.set_terminated(run_id, "FINISHED", facts["end_time"])


def _input(dataset: Mapping[str, Any], tags: Mapping[str, str]) -> DatasetInput:
    return DatasetInput(Dataset(**dataset), [InputTag(k, v) for k, v in tags.items()])
