"""A model's files: download by URI, and the content of its `MLmodel` file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.contract import names
from core.files.older_sklearn import current_name, writer
from core.files.scratch import scratch_folder
from core.messages import _
from core.mlflow_client.client import CALL_SECONDS, Client
from core.mlflow_client.errors import NotFound, VersionRefused

MLMODEL = "MLmodel"


@dataclass(frozen=True, slots=True)
class Package:
    """A version's folder, and the content of its `MLmodel` file.

    `inputs`, `outputs` and `params` are the signature's, as plain data; None without one.
    """

    folder: Path
    flavors: Mapping[str, Mapping[str, Any]]
    metadata: Mapping[str, Any]
    inputs: list[Any] | None = None
    outputs: list[Any] | None = None
    params: list[Any] | None = None

    @property
    def method(self) -> str:
        """Return the estimator's method that pyfunc calls: `predict` unless another is named."""
        pyfunc = self.flavors.get("python_function", {})
        return str(pyfunc.get("predict_fn", "predict")) if "sklearn" in self.flavors else "predict"


def open_package(client: Client, number: int, folder: Path) -> Package:
    """Read the `MLmodel` of a version's files, without a request to the server.

    Raises:
        VersionRefused: there is no readable one.
    """
    client.prepare()
    from mlflow.models import Model

    try:
        model = Model.load(str(folder))
        signed = {
            name: part.to_dict()
            for name in ("inputs", "outputs", "params")
            if (part := getattr(model.signature, name, None))
        }
        return Package(folder, model.flavors, model.metadata or {}, **signed)
    except Exception as exc:
        reason = _("MLmodel cannot be read ({kind})", kind=type(exc).__name__)
        raise VersionRefused(number, reason) from exc


def trust_older_names(folder: Path) -> None:
    """Let MLflow load a model folder whose skops file has a loss of scikit-learn's under `_loss`.

    MLflow trusts the types that the folder's `MLmodel` lists; older releases did not list these.
    """
    import skops.io
    from mlflow.models import Model

    model = Model.load(str(folder))
    flavor = model.flavors.get("sklearn", {})
    if flavor.get("serialization_format") != "skops" or writer(model.flavors) is None:
        return
    asked = skops.io.get_untrusted_types(file=folder / flavor["pickled_model"])
    older = [name for name in asked if current_name(name) != name]
    if older:
        flavor["skops_trusted_types"] = [*(flavor.get("skops_trusted_types") or ()), *older]
        model.save(str(folder / MLMODEL))


def stated_release(client: Client, number: int, uri: str) -> str | None:
    """Return the release in the contract of the version at a URI; None without a contract."""
    with scratch_folder("version") as folder:
        try:
            fetch_uri(client, f"{uri}/{MLMODEL}", folder, CALL_SECONDS)
            package = open_package(client, number, folder)
        except (VersionRefused, NotFound):
            return None
    stated = package.metadata.get(names.METADATA_CONTRACT)
    return stated.get("release") if isinstance(stated, Mapping) else None


def fetch_uri(client: Client, uri: str, folder: Path, seconds: float) -> Path:
    """Download the target of a `models:/` URI into a folder, its path kept; return its local path.

    Raises:
        NotFound: there is no such version or file.
        RegistryUnreachable: it cannot be fetched now.
    """

    def fetch() -> Path:
        from mlflow.artifacts import download_artifacts

        servers = {"tracking_uri": client.uri, "registry_uri": client.place}
        return Path(download_artifacts(artifact_uri=uri, dst_path=str(folder), **servers))

    return client.call(fetch, "download_artifacts", seconds, repeat=True)
