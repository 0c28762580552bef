"""What a version consists of: its files, and what its `MLmodel` file says of them."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.contract.derived import contract_of_version
from core.contract.model import ContractError, ModelContract
from core.messages import _
from core.registry.client import CALL_SECONDS, TRANSFER_SECONDS
from core.registry.errors import UnreadableContract, VersionRefused
from core.registry.versions import Registry, Version

_MLMODEL = "MLmodel"


@dataclass(frozen=True, slots=True)
class Description:
    """What an `MLmodel` file says; `inputs` and `outputs` are the signature's, None without one.

    `example` is the file name of the input example, None without one.
    """

    flavors: Mapping[str, Mapping[str, Any]]
    metadata: Mapping[str, Any]
    inputs: list[Any] | None
    outputs: list[Any] | None
    example: str | None


@dataclass(frozen=True, slots=True)
class Package(Description):
    """A model's folder on this disk, described."""

    folder: Path


def describe(registry: Registry, version: Version) -> Description:
    """Return what a version's `MLmodel` says, without its weights.

    Raises:
        VersionRefused: it cannot be read as one.
        NotFound: its files are gone.
    """
    with tempfile.TemporaryDirectory(prefix="version-") as folder:
        _fetch(registry, f"{version.uri}/{_MLMODEL}", Path(folder), CALL_SECONDS)
        return _describe(registry, version.number, Path(folder))


def download(registry: Registry, number: int, folder: Path) -> Package:
    """Fetch a version's files into `folder` and read its `MLmodel`.

    Raises:
        RegistryUnreachable: the files cannot be fetched now.
        VersionRefused: there is no readable `MLmodel` among them.
    """
    path = _fetch(registry, f"models:/{registry.name}/{number}", folder, TRANSFER_SECONDS)
    return open_package(registry, number, path)


def open_package(registry: Registry, number: int, folder: Path) -> Package:
    """Read the `MLmodel` of a version's files; the server is not asked.

    Raises:
        VersionRefused: there is no readable one.
    """
    said = _describe(registry, number, folder)
    return Package(
        said.flavors, said.metadata, said.inputs, said.outputs, said.example, folder=folder
    )


def read_contract(registry: Registry, version: Version) -> ModelContract:
    """Return the contract that a version states, or the one that its signature amounts to.

    Raises:
        UnreadableContract: it states one that cannot be read, or has neither.
        NotFound: its files are gone.
    """
    try:
        said = describe(registry, version)
        return contract_of(said, version)
    except (ContractError, VersionRefused) as exc:
        reason = exc.facts["reason"] if isinstance(exc, VersionRefused) else exc
        raise UnreadableContract(release=version.release, reason=reason) from exc


def contract_of(said: Description, version: Version) -> ModelContract:
    """Return the contract of a described version: the one derivation, for proxy, jobs, commands.

    Raises:
        ContractError: it states one that cannot be read, or has neither contract nor signature.
    """
    tagged = version.release
    return contract_of_version(version.number, tagged, said.metadata, said.inputs, said.outputs)


def load_model(registry: Registry, version: Version) -> Any:
    """Return a version as MLflow's pyfunc model: this runs whatever code it brings.

    Raises:
        RegistryUnreachable: its files cannot be fetched now.
        Exception: whatever loading it raises.
    """
    with tempfile.TemporaryDirectory(prefix="version-") as folder:
        package = download(registry, version.number, Path(folder))
        return load_pyfunc(package.folder)


def load_pyfunc(folder: Path) -> Any:
    """Return a model folder as MLflow's pyfunc model: this runs whatever code it brings."""
    import mlflow.pyfunc

    return mlflow.pyfunc.load_model(str(folder))


def load_untrusted(package: Package) -> Any:
    """Unpickle a scikit-learn model, or load another flavour as pyfunc: this runs its code.

    Returns the estimator, or for another flavour the pyfunc model.
    """
    if "sklearn" in package.flavors:
        import mlflow.sklearn

        return mlflow.sklearn.load_model(str(package.folder))
    return load_pyfunc(package.folder)


def spark_udf(registry: Registry, session: Any, number: int) -> Any:
    """Return a version as a Spark function of a struct of features; it returns all outputs.

    An array, since a plain `double` would be the first class's probability.

    Raises:
        RegistryUnreachable: the files cannot be fetched now.
    """

    def make() -> Any:
        import mlflow.pyfunc

        return mlflow.pyfunc.spark_udf(
            session,
            f"models:/{registry.name}/{number}",
            result_type="array<double>",
            env_manager="local",
        )

    return registry.client.call(make, "spark_udf", TRANSFER_SECONDS, repeat=True)


def _fetch(registry: Registry, uri: str, folder: Path, seconds: float) -> Path:
    def fetch() -> Path:
        from mlflow.artifacts import download_artifacts

        servers = {"tracking_uri": registry.uri, "registry_uri": registry.uri}
        return Path(download_artifacts(artifact_uri=uri, dst_path=str(folder), **servers))

    return registry.client.call(fetch, "download_artifacts", seconds, repeat=True)


def _describe(registry: Registry, number: int, folder: Path) -> Description:
    """Read the `MLmodel` in a folder."""
    registry.client.prepare()
    from mlflow.models import Model

    try:
        model = Model.load(str(folder))
        signature = model.signature
        return Description(
            flavors=model.flavors,
            metadata=model.metadata or {},
            inputs=signature.inputs.to_dict() if signature and signature.inputs else None,
            outputs=signature.outputs.to_dict() if signature and signature.outputs else None,
            example=(model.saved_input_example_info or {}).get("artifact_path"),
        )
    except Exception as exc:
        reason = _("MLmodel cannot be read ({kind})", kind=type(exc).__name__)
        raise VersionRefused(number, reason) from exc
