"""Model versions in the registry: found by release or alias, named by the next free release.

The only place here that turns MLflow's registry errors into sentences an operator can act on.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from core.contract import names


class RegistryError(Exception):
    """Root of what can go wrong with the registry; the message is for the operator.

    RegistryError
    ├── Unreachable      the tracking server does not answer
    ├── UnknownVersion   no such release or alias
    └── Refused          a flip or release that must not happen
    """


class Unreachable(RegistryError):
    """The MLflow server does not answer."""


class UnknownVersion(RegistryError):
    """No version has this release or alias."""


class Refused(RegistryError):
    """What was asked for would leave the registry wrong."""


@dataclass(frozen=True, slots=True)
class Version:
    """One registered version: MLflow's number, the operator's release, and what hangs on it."""

    name: str
    number: int
    release: str
    run_id: str
    tags: Mapping[str, str]
    aliases: tuple[str, ...]
    created: datetime

    @property
    def uri(self) -> str:
        """Return the MLflow URI that pins this version by number."""
        return f"models:/{self.name}/{self.number}"


@contextmanager
def translated(tracking_uri: str) -> Iterator[None]:
    """Turn MLflow's connection errors into `Unreachable`."""
    try:
        yield
    except MlflowException as exc:
        if "API request to" in str(exc) or "Max retries" in str(exc):
            raise Unreachable(
                f"O servidor MLflow em {tracking_uri} não responde. "
                "Inicie-o (make up) ou corrija MLFLOW_TRACKING_URI."
            ) from exc
        raise


class Registry:
    """The versions of one registered model on the tracking server of the environment."""

    def __init__(self, name: str | None = None) -> None:
        """Open the registry of model `name` (default: `MODEL_NAME`).

        Raises:
            Refused: the environment names a local file instead of a server, as a bare `mlflow run`
                does; what is logged there keeps absolute paths that no server can follow.
        """
        self.tracking_uri = names.configure_mlflow_environment()
        if not self.tracking_uri.startswith(("http://", "https://")):
            raise Refused(
                "MLFLOW_TRACKING_URI não aponta para um servidor MLflow. Antes do comando: "
                f"export MLFLOW_TRACKING_URI={names.DEFAULT_TRACKING_URI}"
            )
        self.name = name or names.model_name()
        self.client = MlflowClient(self.tracking_uri)

    def aliases(self) -> dict[str, int]:
        """Return alias → version number; empty when the model does not exist yet."""
        with translated(self.tracking_uri):
            models = self.client.search_registered_models(f"name = '{self.name}'")
        return {k: int(v) for model in models for k, v in model.aliases.items()}

    def versions(self) -> list[Version]:
        """Return all versions, newest first."""
        aliases = self.aliases()
        with translated(self.tracking_uri):
            found = self.client.search_model_versions(f"name = '{self.name}'", max_results=10_000)
        versions = [self._read(version, aliases) for version in found]
        return sorted(versions, key=lambda version: version.number, reverse=True)

    def _read(self, version: ModelVersion, aliases: Mapping[str, int]) -> Version:
        number = int(version.version)
        return Version(
            name=self.name,
            number=number,
            release=version.tags.get(names.TAG_RELEASE, ""),
            run_id=version.run_id or "",
            tags=dict(version.tags),
            aliases=tuple(sorted(alias for alias, at in aliases.items() if at == number)),
            created=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
        )

    def by_release(self, release: str) -> Version:
        """Return the newest version that carries this release.

        Raises:
            UnknownVersion: there is none; lists the known releases.
        """
        versions = self.versions()
        for version in versions:
            if version.release == release:
                return version
        known = ", ".join(v.release for v in versions if v.release) or "nenhuma"
        raise UnknownVersion(
            f"A versão {release} não existe no modelo {self.name}. Conhecidas: {known}."
        )

    def by_alias(self, alias: str) -> Version | None:
        """Return the version an alias points at, or None."""
        number = self.aliases().get(alias)
        if number is None:
            return None
        return next((v for v in self.versions() if v.number == number), None)

    def set_alias(self, alias: str, number: int | None) -> None:
        """Point an alias at a version number; None removes it, if it is there."""
        if number is None and alias not in self.aliases():
            return
        with translated(self.tracking_uri):
            if number is None:
                self.client.delete_registered_model_alias(self.name, alias)
            else:
                self.client.set_registered_model_alias(self.name, alias, str(number))

    def set_tag(self, version: Version, key: str, value: str) -> None:
        """Set one tag of a version."""
        with translated(self.tracking_uri):
            self.client.set_model_version_tag(self.name, str(version.number), key, value)

    def next_release(self, requested: str | None = None, *, major: bool = False) -> str:
        """Return the release for a new version: `requested`, else the next minor, first v1.0.0.

        With `major`, the next major: the new contract breaks clients of the newest one.

        Raises:
            Refused: the requested release is malformed or already taken.
        """
        taken = {version.release for version in self.versions()}
        if requested:
            if not re.fullmatch(r"v\d+\.\d+\.\d+", requested):
                raise Refused(f"A versão {requested!r} não tem a forma v1.2.0.")
            if requested in taken:
                raise Refused(f"A versão {requested} já existe; escolha outra.")
            return requested
        numbers = [
            tuple(map(int, m.groups()))
            for m in (re.fullmatch(r"v(\d+)\.(\d+)\.(\d+)", release) for release in taken)
            if m
        ]
        if not numbers:
            return "v1.0.0"
        highest, minor, _ = max(numbers)
        return f"v{highest + 1}.0.0" if major else f"v{highest}.{minor + 1}.0"
