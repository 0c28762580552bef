"""MLflow runs: a version's run, the runs of an experiment, their artifacts, and runs of jobs."""

import hashlib
import json
import posixpath
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.files.scratch import scratch_folder
from core.mlflow_client.client import Client, paged
from core.mlflow_client.errors import CallRejected, NotFound
from core.registry.versions import Registry

_PAGE = 200
"""Runs per request: each includes metrics and tags, and a call to a busy server has 10 s."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """The metrics of a version's run, and its start (UTC, ISO 8601)."""

    metrics: Mapping[str, float]
    started: str | None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as its experiment lists it; `status` is MLflow's, times are UTC."""

    run_id: str
    experiment_id: str
    status: str
    started: datetime
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]


def run_facts(registry: Registry, run_id: str | None) -> RunFacts:
    """Return a run's metrics and start; empty when there is no such run (any more)."""
    record = read_run(registry, run_id)
    if record is None:
        return RunFacts({}, None)
    return RunFacts(record.metrics, record.started.isoformat(timespec="seconds"))


def read_run(registry: Registry, run_id: str | None) -> RunRecord | None:
    """Return a run; None when there is no such run (any more)."""
    if run_id:
        with suppress(NotFound):
            return _record(registry.client.get_run(run_id))
    return None


def newest_runs(
    registry: Registry, experiment: str, filters: str = "", most: int = 50
) -> list[RunRecord]:
    """Return the newest runs of an experiment, newest first; empty if it does not exist."""
    found = registry.client.get_experiment_by_name(experiment)
    if found is None:
        return []
    order = ["attribute.start_time DESC"]
    listed = registry.client.search_runs([found.experiment_id], filters, 1, most, order)
    return [_record(run) for run in listed]


def all_runs(registry: Registry, experiment: str) -> Iterator[RunRecord]:
    """Yield the runs of an experiment, oldest first; none if it does not exist."""
    found = registry.client.get_experiment_by_name(experiment)
    if found is not None:
        within, order = [found.experiment_id], ["attribute.start_time ASC"]
        search = registry.client.search_runs
        yield from map(_record, paged(lambda token: search(within, "", 1, _PAGE, order, token)))


def experiment_id(registry: Registry, name: str) -> str:
    """Return the id of an experiment, which is created if absent."""
    found = registry.client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(registry.client.create_experiment(name))
        except CallRejected:
            # Another process has created it meanwhile.
            found = registry.client.get_experiment_by_name(name)
            if found is None:
                raise
    return str(found.experiment_id)


def fetch(registry: Registry, run_id: str | None, artifact: str, folder: Path) -> Path | None:
    """Download an artifact of a run into a folder; None where the run or the artifact is gone."""
    if run_id:
        with suppress(NotFound):
            listed = registry.client.list_artifacts(run_id, str(Path(artifact).parent))
            if any(item.path == artifact for item in listed):
                return Path(registry.client.download_artifacts(run_id, artifact, str(folder)))
    return None


def run_file(
    registry: Registry, experiment: str, run_id: str, folder: str, suffix: str, largest: int
) -> bytes | None:
    """Return the artifact in a run's folder with a suffix, of at most `largest` bytes.

    None when the run is not of the experiment, or holds no such file.
    """
    client = registry.client
    found, run = client.get_experiment_by_name(experiment), read_run(registry, run_id)
    if found is None or run is None or run.experiment_id != found.experiment_id:
        return None
    with scratch_folder() as place:
        for item in client.list_artifacts(run_id, folder):
            if item.path.endswith(suffix) and (item.file_size or 0) <= largest:
                return Path(client.download_artifacts(run_id, item.path, str(place))).read_bytes()
    return None


def metric_name(name: str) -> str:
    """Return a valid MLflow metric name: the name itself, or a substitute made unique by a digest.

    MLflow allows letters, digits, blanks and `_-.:/`, 250 of them, and only a normalised path.
    """
    taken = re.sub(r"[^\w\-. :/]", "_", name)[:230]  # plus nine characters of the digest
    if posixpath.normpath(taken) != taken or taken.startswith(".."):
        taken = taken.replace("/", "_")
    return taken if taken == name else f"{taken}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


class OpenRun:
    """One active MLflow run of a job."""

    def __init__(self, client: Client, run: Any) -> None:
        """Wrap a `run` just created."""
        self._client = client
        self.id: str = run.info.run_id
        self.experiment_id: str = run.info.experiment_id

    @property
    def url(self) -> str:
        """Return the address of the run's page."""
        return f"{self._client.uri}/#/experiments/{self.experiment_id}/runs/{self.id}"

    def log(
        self,
        params: Mapping[str, Any],
        metrics: Mapping[str, float | None],
        tags: Mapping[str, str],
    ) -> None:
        """Log all in one request; metrics that are None are left out.

        The step is the date as a number, 20260302: MLflow then draws all runs of an experiment as
        one line per metric over time, where equal steps would make it a bar per run.
        """
        from mlflow.entities import Metric, Param, RunTag

        now = int(time.time() * 1000)
        step = int(time.strftime("%Y%m%d"))
        numbers = {metric_name(key): value for key, value in metrics.items() if value is not None}
        self._client.log_batch(
            self.id,
            metrics=[Metric(name, float(value), now, step) for name, value in numbers.items()],
            params=[Param(name, str(value)) for name, value in params.items()],
            tags=[RunTag(name, str(value)) for name, value in tags.items()],
        )

    def log_file(self, path: Path, folder: str) -> None:
        """Upload a file into an artifact folder."""
        self._client.log_artifact(self.id, str(path), folder)

    def log_json(self, data: Mapping[str, Any], artifact: str) -> None:
        """Upload data as a JSON artifact; NaN is rejected, since it is not valid JSON."""
        with scratch_folder() as folder:
            path = folder / Path(artifact).name
            text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
            path.write_text(text, encoding="utf-8")
            self.log_file(path, str(Path(artifact).parent))


@contextmanager
def open_run(
    registry: Registry, experiment: str, name: str, tags: Mapping[str, str]
) -> Iterator[OpenRun]:
    """Open a run in an experiment (by name); its status is FAILED if the block raises."""
    registry.client.prepare()
    from mlflow.tracking.context.registry import resolve_tags

    # A client of our own, not `mlflow.start_run`: under `mlflow run` that would continue the
    # project's run, in the project's experiment.
    run = registry.client.create_run(
        experiment_id(registry, experiment), tags={**resolve_tags(), **tags}, run_name=name
    )
    status = "FAILED"
    try:
        yield OpenRun(registry.client, run)
        status = "FINISHED"
    finally:
        registry.client.set_terminated(run.info.run_id, status)


def _record(run: Any) -> RunRecord:
    info, data = run.info, run.data
    started = datetime.fromtimestamp(info.start_time / 1000, UTC)
    return RunRecord(
        *(info.run_id, info.experiment_id, info.status, started),
        *(dict(data.tags), dict(data.params), dict(data.metrics)),
    )
