"""The only module of monitoring that talks to MLflow; it turns MLflow's errors into our own."""

import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from core.contract import names
from core.contract.model import ContractError, ModelContract
from monitoring.drift.baseline import Baseline
from monitoring.errors import (
    NoBaselineError,
    RegistryError,
    UnknownVersionError,
    UnreadableContractError,
)
from monitoring.tracking.output import to_json
from monitoring.tracking.server import reach
from monitoring.tracking.version import Version

_CLIENT_DEFAULTS = {
    # A job that a person waits for should say soon that the server is gone.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


class JobRun:
    """One MLflow run of a job, still going on."""

    def __init__(self, client: Any, run: Any, uri: str) -> None:
        """Wrap a `run` just created."""
        self._client, self._uri = client, uri
        self.id: str = run.info.run_id
        self.experiment_id: str = run.info.experiment_id

    @property
    def url(self) -> str:
        """Return the address of the run's page."""
        return f"{self._uri}/#/experiments/{self.experiment_id}/runs/{self.id}"

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
        numbers = {name: value for name, value in metrics.items() if value is not None}
        with _translated("registrar o resultado"):
            self._client.log_batch(
                self.id,
                metrics=[Metric(name, float(value), now, step) for name, value in numbers.items()],
                params=[Param(name, str(value)) for name, value in params.items()],
                tags=[RunTag(name, str(value)) for name, value in tags.items()],
            )

    def log_file(self, path: Path, folder: str) -> None:
        """Upload a file into an artifact folder."""
        with _translated("guardar um artefato"):
            self._client.log_artifact(self.id, str(path), folder)

    def log_json(self, data: Mapping[str, Any], artifact: str) -> None:
        """Upload data as a JSON artifact."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(artifact).name
            path.write_text(to_json(data), encoding="utf-8")
            self.log_file(path, str(Path(artifact).parent))


class Registry:
    """The registered model, and the experiment of its monitoring runs."""

    def __init__(self) -> None:
        """Connect to the server that the environment names.

        Raises:
            ServerUnreachableError: nobody answers there.
        """
        self.uri = names.configure_mlflow_environment().rstrip("/")
        self.model_name = names.model_name()
        reach(self.uri)
        for name, value in _CLIENT_DEFAULTS.items():
            os.environ.setdefault(name, value)
        import mlflow

        mlflow.set_tracking_uri(self.uri)
        self._client = mlflow.MlflowClient(self.uri)

    def version(self, release: str | None = None, alias: str = names.CHAMPION) -> Version:
        """Return the version of a release, or that of an alias.

        Raises:
            UnknownVersionError: there is none; lists the known releases.
            UnreadableContractError: its metadata holds no contract.
        """
        found = self._of_release(release) if release else self._of_alias(alias)
        if found is None:
            wanted = release or f"com o alias {alias}"
            raise UnknownVersionError(self.model_name, wanted, self._releases())
        number = int(found.version)
        contract = self._contract(number)
        of_champion = not release and alias == names.CHAMPION
        champion = found if of_champion else self._of_alias(names.CHAMPION)
        tags = found.tags
        return Version(
            model_name=self.model_name,
            number=number,
            release=tags.get(names.TAG_RELEASE) or contract.release,
            contract=contract,
            run_id=found.run_id or None,
            baseline_run_id=tags.get(names.TAG_BASELINE_RUN_ID),
            served=champion is not None and int(champion.version) == number,
            drift_status=tags.get(names.TAG_DRIFT_STATUS),
            performance_status=tags.get(names.TAG_PERFORMANCE_STATUS),
            notified=tags.get(names.TAG_NOTIFIED),
        )

    def version_url(self, version: Version) -> str:
        """Return the address of the version's page."""
        return f"{self.uri}/#/models/{version.model_name}/versions/{version.number}"

    def reference(self, version: Version) -> pa.Table | None:
        """Return the version's training reference, or None where its run holds none."""
        if version.run_id is None:
            return None
        with tempfile.TemporaryDirectory() as folder:
            path = self._download(version.run_id, names.ARTIFACT_REFERENCE, Path(folder))
            return pq.read_table(path, memory_map=False) if path else None

    def baseline(self, version: Version) -> Baseline:
        """Return the version's baseline.

        Raises:
            NoBaselineError: it was never built, or its run is gone; names the command.
        """
        if version.baseline_run_id is None:
            raise NoBaselineError(version.release, "nunca foi criada")
        with tempfile.TemporaryDirectory() as folder:
            path = self._download(version.baseline_run_id, names.ARTIFACT_BASELINE, Path(folder))
            if path is None:
                reason = f"a run {version.baseline_run_id} não a tem mais"
                raise NoBaselineError(version.release, reason)
            return Baseline.from_dict(json.loads(path.read_text(encoding="utf-8")))

    def test_metrics(self, version: Version) -> dict[str, float]:
        """Return what the version's source run measured on its test rows, without the `test_`."""
        if version.run_id is None:
            return {}
        with _translated("ler as métricas do treino", absent_is_none=True) as answer:
            answer.value = self._client.get_run(version.run_id).data.metrics
        found = answer.value or {}
        return {k.removeprefix("test_"): v for k, v in found.items() if k.startswith("test_")}

    def predict(self, version: Version, features: pa.Table) -> npt.NDArray[np.float64]:
        """Return the version's own scores of the rows, shape (n,)."""
        import mlflow

        action = f"pontuar linhas com a versão {version.release}"
        with _translated(action):
            model = mlflow.pyfunc.load_model(f"models:/{version.model_name}/{version.number}")
        try:
            output = np.asarray(model.predict(features.to_pandas()), dtype=np.float64)
        except Exception as exc:
            # A model may raise anything, and its text may quote the rows.
            raise RegistryError(action, type(exc).__name__) from exc
        return output[:, version.contract.positive_class] if output.ndim == 2 else output

    @contextmanager
    def run(self, version: Version | None, job: str, name: str) -> Iterator[JobRun]:
        """Open a run of a job, on a version or on none; it ends FAILED when the block raises."""
        from mlflow.tracking.context.registry import resolve_tags

        tags = {**resolve_tags(), names.TAG_JOB: job}
        if version is not None:
            tags |= {
                names.TAG_RELEASE: version.release,
                names.TAG_REGISTRY_VERSION: str(version.number),
            }
        # A client of our own, not `mlflow.start_run`: under `mlflow run` that would continue the
        # project's run, in the project's experiment.
        with _translated("abrir uma run"):
            experiment = self._experiment()
            run = self._client.create_run(experiment, tags=tags, run_name=name)
        status = "FAILED"
        try:
            yield JobRun(self._client, run, self.uri)
            status = "FINISHED"
        finally:
            with _translated("fechar a run"):
                self._client.set_terminated(run.info.run_id, status)

    def set_tag(self, version: Version, key: str, value: str) -> None:
        """Set a tag of the registered version."""
        with _translated(f"marcar a versão {version.release}"):
            self._client.set_model_version_tag(version.model_name, str(version.number), key, value)

    def _experiment(self) -> str:
        name = names.monitoring_experiment(self.model_name)
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        from mlflow.exceptions import MlflowException

        try:
            return str(self._client.create_experiment(name))
        except MlflowException:
            # Another job has created it since.
            found = self._client.get_experiment_by_name(name)
            if found is None:
                raise
            return str(found.experiment_id)

    def _of_alias(self, alias: str) -> Any:
        with _translated("ler o alias", absent_is_none=True) as answer:
            answer.value = self._client.get_model_version_by_alias(self.model_name, alias)
        return answer.value

    def _of_release(self, release: str) -> Any:
        """Return the newest version that carries the release, or None."""
        tagged = [v for v in self._versions() if v.tags.get(names.TAG_RELEASE) == release]
        return max(tagged, key=lambda version: int(version.version), default=None)

    def _releases(self) -> list[str]:
        ordered = sorted(self._versions(), key=lambda version: int(version.version))
        return [v.tags.get(names.TAG_RELEASE, f"número {v.version}") for v in ordered]

    def _versions(self) -> list[Any]:
        with _translated("listar as versões"):
            return list(self._client.search_model_versions(f"name='{self.model_name}'"))

    def _contract(self, number: int) -> ModelContract:
        from mlflow.models import get_model_info

        with _translated("ler os metadados da versão"):
            metadata = get_model_info(f"models:/{self.model_name}/{number}").metadata or {}
        try:
            return ModelContract.from_dict(metadata[names.METADATA_CONTRACT])
        except (KeyError, ContractError) as exc:
            raise UnreadableContractError(self.model_name, number, str(exc)) from exc

    def _download(self, run_id: str, artifact: str, folder: Path) -> Path | None:
        """Fetch an artifact of a run; None where the run or the artifact is gone."""
        with _translated("baixar um artefato", absent_is_none=True) as answer:
            listed = self._client.list_artifacts(run_id, str(Path(artifact).parent))
            if any(item.path == artifact for item in listed):
                answer.value = self._client.download_artifacts(run_id, artifact, str(folder))
        return Path(answer.value) if answer.value else None


@dataclass(slots=True)
class _Answer:
    value: Any = None


@contextmanager
def _translated(action: str, *, absent_is_none: bool = False) -> Iterator[_Answer]:
    """Turn MLflow's errors into RegistryError; what is absent may leave the answer None."""
    from mlflow.exceptions import MlflowException

    try:
        yield _Answer()
    except MlflowException as exc:
        # A missing alias answers INVALID_PARAMETER_VALUE (MLflow 3.17), a missing model the other.
        absent = exc.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
        if not (absent_is_none and absent):
            raise RegistryError(action, str(exc).splitlines()[0][:300]) from exc
    except OSError as exc:
        raise RegistryError(action, f"{type(exc).__name__}") from exc
