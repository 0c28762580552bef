"""The only module of the proxy that talks to MLflow; it turns MLflow's errors into our own."""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.contract import names
from serving.errors import AliasMissing, ModelMissing, RegistryUnreachable, VersionRefused

_CLIENT_DEFAULTS = {
    # The follower asks again every second, so a dead server should be noticed, not waited for.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0.1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}

_CAUSES = {
    # MLflow gives its own failures and an unopened connection the same code.
    "INTERNAL_ERROR": "sem conexão ou erro interno",
    "UNAUTHENTICATED": "usuário ou senha recusados; confira MLFLOW_TRACKING_USERNAME e "
    "MLFLOW_TRACKING_PASSWORD",
    "PERMISSION_DENIED": "o usuário MLFLOW_TRACKING_USERNAME não tem permissão de leitura",
}


@dataclass(frozen=True, slots=True)
class AliasTarget:
    """The version an alias points to: its number, its tags, and the run that logged it."""

    number: int
    tags: Mapping[str, str]
    run_id: str | None
    created_at: str

    def is_version_of(self, other: "AliasTarget") -> bool:
        """Tell whether both are one version; a number alone is used again after a deletion."""
        mine, theirs = ((t.number, t.run_id, t.created_at) for t in (self, other))
        return mine == theirs


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a run says about a version: its metrics, and when it began (UTC, ISO 8601)."""

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


@dataclass(frozen=True, slots=True)
class Package:
    """A downloaded model folder and what its `MLmodel` file says.

    `inputs` and `outputs` are the signature's, as plain data; None without a signature.
    """

    folder: Path
    flavors: Mapping[str, Mapping[str, Any]]
    metadata: Mapping[str, Any]
    inputs: list[Any] | None
    outputs: list[Any] | None


class Registry:
    """Reads one registered model. Every call blocks; none belongs on the request path."""

    def __init__(self, tracking_uri: str, name: str, alias: str) -> None:
        """Remember what to read; MLflow is imported by the first call, since that takes seconds."""
        self.uri, self.name, self.alias = tracking_uri, name, alias
        self._connected: Any = None

    def resolve(self) -> AliasTarget:
        """Return what the alias points to.

        Raises:
            ModelMissing, AliasMissing: there is no such thing in the registry.
            RegistryUnreachable: the server does not answer as it should.
        """
        from mlflow.exceptions import MlflowException

        client = self._client()
        try:
            with self._translated():
                version = client.get_model_version_by_alias(self.name, self.alias)
        except RegistryUnreachable as exc:
            cause = exc.__cause__
            code = cause.error_code if isinstance(cause, MlflowException) else None
            if code == "RESOURCE_DOES_NOT_EXIST":
                raise ModelMissing(self.name) from cause
            if code == "INVALID_PARAMETER_VALUE":
                raise AliasMissing(self.name, self.alias) from cause
            raise
        created = _iso(version.creation_timestamp)
        return AliasTarget(int(version.version), dict(version.tags), version.run_id, created)

    def download(self, number: int, folder: Path) -> Package:
        """Fetch a version's files into `folder` and read its `MLmodel`.

        Raises:
            RegistryUnreachable: the files cannot be fetched now.
            VersionRefused: there is no readable `MLmodel` among them.
        """
        self._client()
        from mlflow.artifacts import download_artifacts

        with self._translated():
            path = download_artifacts(
                artifact_uri=f"models:/{self.name}/{number}", dst_path=str(folder)
            )
        return self.open(number, Path(path))

    def open(self, number: int, folder: Path) -> Package:
        """Read the `MLmodel` of a version's files; the server is not asked.

        Raises:
            VersionRefused: there is no readable one.
        """
        self._client()
        from mlflow.models import Model

        try:
            model = Model.load(str(folder))
            signature = model.signature
            return Package(
                folder=folder,
                flavors=model.flavors,
                metadata=model.metadata or {},
                inputs=signature.inputs.to_dict() if signature and signature.inputs else None,
                outputs=signature.outputs.to_dict() if signature and signature.outputs else None,
            )
        except Exception as exc:
            raise VersionRefused(number, f"MLmodel ilegível ({type(exc).__name__})") from exc

    def run_facts(self, run_id: str | None) -> RunFacts:
        """Return what a run says; nothing when there is no such run.

        Raises:
            RegistryUnreachable: the server does not answer as it should.
        """
        if not run_id:
            return RunFacts({}, None)
        client = self._client()
        with self._translated():
            run = _absent_is_none(client.get_run, run_id)
        if run is None:
            return RunFacts({}, None)
        return RunFacts(dict(run.data.metrics), _iso(run.info.start_time))

    def runs(self, experiment: str, filters: str = "", most: int = 50) -> list[RunRecord]:
        """Return the newest runs of an experiment, newest first; none where there is no such.

        Raises:
            RegistryUnreachable: the server does not answer as it should.
        """
        client = self._client()
        with self._translated():
            found = client.get_experiment_by_name(experiment)
            if found is None:
                return []
            order = ["attribute.start_time DESC"]
            listed = client.search_runs([found.experiment_id], filters, 1, most, order)
        return [_record(run) for run in listed]

    def run_file(
        self, experiment: str, run_id: str, folder: str, suffix: str, largest: int
    ) -> bytes | None:
        """Return the artifact in a run's folder that ends so, of at most `largest` bytes.

        None when the run is not of the experiment, or holds no such file.

        Raises:
            RegistryUnreachable: the server does not answer as it should.
        """
        client = self._client()
        with self._translated(), tempfile.TemporaryDirectory() as place:
            found = client.get_experiment_by_name(experiment)
            run = None if found is None else _absent_is_none(client.get_run, run_id)
            if run is None or run.info.experiment_id != found.experiment_id:
                return None
            for item in client.list_artifacts(run_id, folder):
                if item.path.endswith(suffix) and (item.file_size or 0) <= largest:
                    return Path(client.download_artifacts(run_id, item.path, place)).read_bytes()
        return None

    def load_untrusted(self, package: Package) -> Any:
        """Unpickle a scikit-learn model, or load another flavour as pyfunc: this runs its code.

        Returns the estimator, or for another flavour the pyfunc model.
        """
        self._client()
        if "sklearn" in package.flavors:
            import mlflow.sklearn

            return mlflow.sklearn.load_model(str(package.folder))
        import mlflow.pyfunc

        return mlflow.pyfunc.load_model(str(package.folder))

    def spark_udf(self, session: Any, number: int) -> Any:
        """Return a version as a Spark function of a struct of features; it returns all outputs.

        An array, since a plain `double` would be the first class's probability.

        Raises:
            RegistryUnreachable: the files cannot be fetched now.
        """
        self._client()
        import mlflow.pyfunc

        with self._translated():
            return mlflow.pyfunc.spark_udf(
                session,
                f"models:/{self.name}/{number}",
                result_type="array<double>",
                env_manager="local",
            )

    def _client(self) -> Any:
        if self._connected is None:
            for name, value in _CLIENT_DEFAULTS.items():
                os.environ.setdefault(name, value)
            names.configure_mlflow_environment()
            import mlflow

            # Artifacts of `models:/` are found through the process-wide URI, not the client's.
            mlflow.set_tracking_uri(self.uri)
            self._connected = mlflow.MlflowClient(self.uri)
        return self._connected

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn whatever MLflow or its transport raises into RegistryUnreachable."""
        try:
            yield
        except Exception as exc:
            code = getattr(exc, "error_code", None) or type(exc).__name__
            raise RegistryUnreachable(self.uri, _CAUSES.get(code, code)) from exc


def _record(run: Any) -> RunRecord:
    info, data = run.info, run.data
    started = datetime.fromtimestamp(info.start_time / 1000, UTC)
    return RunRecord(
        *(info.run_id, info.experiment_id, info.status, started),
        *(dict(data.tags), dict(data.params), dict(data.metrics)),
    )


def _absent_is_none(read: Callable[[str], Any], run_id: str) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        return read(run_id)
    except MlflowException as exc:
        if exc.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")
