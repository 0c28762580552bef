"""A version's files: download, contract, and loading of the model."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.contract import names
from core.contract.completed import artifact_of, completed
from core.contract.derived import contract_of_version, label_of
from core.contract.model import ContractError, ModelContract
from core.files.older_sklearn import know_older_names, mend
from core.files.scratch import scratch_folder
from core.messages import N_
from core.mlflow_client.client import CALL_SECONDS, TRANSFER_SECONDS
from core.mlflow_client.errors import UnreadableContract, VersionRefused
from core.registry.files import MLMODEL, Package, fetch_uri, open_package, trust_older_names
from core.registry.versions import Registry, Version

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

_EVIDENCE = tuple(
    Path(artifact).parts[0] for artifact in (names.ARTIFACT_REFERENCE, names.ARTIFACT_EVALUATION)
)


def download(registry: Registry, number: int, folder: Path, *, evidence: bool = False) -> Package:
    """Download a version's files into `folder` and read its `MLmodel`.

    The evidence that training stored is removed unless `evidence` is set: serving a model does not
    require its training rows.

    Raises:
        RegistryUnreachable: the files cannot be fetched now.
        VersionRefused: there is no readable `MLmodel` among them.
    """
    path = fetch_uri(registry.client, f"models:/{registry.name}/{number}", folder, TRANSFER_SECONDS)
    for name in () if evidence else _EVIDENCE:
        shutil.rmtree(path / name, ignore_errors=True)
    return open_package(registry.client, number, path)


def read_contract(registry: Registry, version: Version) -> ModelContract:
    """Return a version's contract: stated or derived, and completed by its description if any.

    Raises:
        UnreadableContract: the contract cannot be read, or there is neither it nor a signature.
        NotFound: its files are gone.
    """
    with scratch_folder("version") as folder, readable(version):
        return contract_of(_without_weights(registry, version, folder), version)


@contextmanager
def readable(version: Version) -> Iterator[None]:
    """Convert a block's failure to read a contract into UnreadableContract, naming the version."""
    try:
        yield
    except (ContractError, VersionRefused) as exc:
        reason = exc.facts["reason"] if isinstance(exc, VersionRefused) else exc
        raise UnreadableContract(release=version.release, reason=reason) from exc


def read_description(registry: Registry, version: Version) -> Mapping[str, Any]:
    """Return the description that was added to a version; empty where there is none.

    Raises:
        ContractError: it cannot be read.
        NotFound: its files are gone.
    """
    with scratch_folder("version") as folder:
        return _description(_without_weights(registry, version, folder), version)


def contract_of(package: Package, version: Version) -> ModelContract:
    """Return the contract of a version's files, the same for proxy, jobs and commands.

    Raises:
        ContractError: it states one that cannot be read, has neither contract nor signature, or
            its description does not fit or cannot be read.
    """
    tagged = version.tags.get(names.TAG_RELEASE)
    contract = contract_of_version(
        version.number, tagged, package.metadata, package.inputs, package.outputs, package.method
    )
    known = _description(package, version)
    return completed(contract, known) if known else contract


def load_model(registry: Registry, version: Version) -> Any:
    """Return a version as MLflow's pyfunc model; this executes the code in its files.

    Raises:
        RegistryUnreachable: its files cannot be fetched now.
        Exception: whatever loading it raises.
    """
    with scratch_folder("version") as folder:
        package = download(registry, version.number, folder)
        return load_pyfunc(package.folder)


def load_pyfunc(folder: Path) -> Any:
    """Return a model folder as MLflow's pyfunc model; this executes the code in it."""
    import mlflow.pyfunc

    know_older_names()
    trust_older_names(folder)
    model = mlflow.pyfunc.load_model(str(folder))
    if "sklearn" in model.metadata.flavors:
        mend(model.get_raw_model())
    return model


def ask(model: Any, frame: "pd.DataFrame") -> Any:
    """Return a pyfunc model's output for rows in the contract's types and order.

    pyfunc accepts no double for a float, and no data frame for a tensor: both are converted to the
    types of the signature.

    Raises:
        Exception: whatever the model raises.
    """
    schema = model.metadata.get_input_schema()
    if schema is None:
        return model.predict(frame)
    if schema.is_tensor_spec():
        return model.predict(frame.to_numpy(dtype=schema.inputs[0].type))
    labels = [label_of(place, spec.to_dict()) for place, spec in enumerate(schema.inputs)]
    frame = frame.set_axis(labels, axis=1)
    narrow = {
        label: spec.type.to_numpy()
        for label, spec in zip(labels, schema.inputs, strict=True)
        if spec.type.name in ("float", "integer") and not frame[label].isna().any()
    }
    return model.predict(frame.astype(narrow))


def classes_of(model: Any) -> tuple[str, ...]:
    """Return the classes of a pyfunc model's estimator, as text; empty if it has no `classes_`."""
    found = getattr(model.get_raw_model(), "classes_", ())
    return tuple(map(str, found))


def scores_of(output: Any, contract: ModelContract) -> "npt.NDArray[np.float64]":
    """Return the score in each row of a pyfunc output, shape (n,).

    Of several outputs it is the positive class's.

    Raises:
        ValueError, TypeError: an output is not a number.
    """
    import numpy as np

    values: npt.NDArray[np.float64] = np.asarray(output, dtype=np.float64)
    if values.ndim == 1:
        return values
    return values[:, contract.positive_class if values.shape[1] > 1 else 0]


def load_untrusted(package: Package) -> Any:
    """Unpickle a scikit-learn model, or load another flavour as pyfunc; this executes its code.

    Returns the estimator, or for another flavour the pyfunc model.
    """
    if "sklearn" in package.flavors:
        import mlflow.sklearn

        know_older_names()
        return mend(mlflow.sklearn.load_model(str(package.folder)))
    return load_pyfunc(package.folder)


def spark_udf(registry: Registry, session: Any, number: int) -> Any:
    """Return a version as a Spark UDF of a struct of features, which returns all its outputs.

    They are an array, since a plain `double` would be the first class's probability.

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


def _without_weights(registry: Registry, version: Version, folder: Path) -> Package:
    """Download only `MLmodel` and the description, without the model's weights."""
    fetch_uri(registry.client, f"{version.uri}/{MLMODEL}", folder, CALL_SECONDS)
    if digest := version.tags.get(names.TAG_DESCRIPTION):
        fetch_uri(registry.client, f"{version.uri}/{artifact_of(digest)}", folder, CALL_SECONDS)
    return open_package(registry.client, version.number, folder)


def _description(package: Package, version: Version) -> Mapping[str, Any]:
    digest = version.tags.get(names.TAG_DESCRIPTION)
    if not digest:
        return {}
    path = package.folder / artifact_of(digest)
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as exc:
        kind = type(exc).__name__
        raise ContractError(N_("its description cannot be read ({kind})"), kind=kind) from exc
