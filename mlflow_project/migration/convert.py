"""Convert a pickled version into a new version of the same model that is data (skops).

Reading a pickle may run any program, so it is read once, here, by consent; the proxy then serves
the new version without `ALLOW_PICKLE`. Both predict the same, so description, metrics and evidence
of the old version are valid for the new one and are copied. Baseline and verdicts are not: they
belong to one version's predictions.
"""

import shutil
from collections.abc import Mapping
from typing import Any

import mlflow
import numpy as np
import sklearn
from mlflow.models import Model

from core.contract import names
from core.contract.completed import artifact_of
from core.contract.model import ModelContract
from core.files.scratch import scratch_folder
from core.messages import N_, _
from core.registry.evidence import fetch_evidence, training_record
from core.registry.files import Package
from core.registry.packages import contract_of, download, load_untrusted
from core.registry.versions import Registry, Version
from mlflow_project.flips.ledger import Ledger, exclusive
from mlflow_project.migration.as_data import EQUAL, as_data, log_stored
from mlflow_project.migration.invented import invent_rows
from mlflow_project.migration.old_model import CONSENT
from mlflow_project.versions.errors import Refused
from mlflow_project.versions.registration import next_release, register_tried

_EVIDENCE = (
    *(names.ARTIFACT_REFERENCE, names.ARTIFACT_EVALUATION),
    *(names.ARTIFACT_TRAINING_ROWS, names.ARTIFACT_YEAR_CHANGE),
)


def convert(
    registry: Registry, release: str, *, trust_pickle: bool, new: str | None = None
) -> Version:
    """Register a pickled version anew, as data; no alias moves. Return the new version.

    `new` is its release; without one a version that has a release of its own gets the next minor,
    any other is identified by its number.

    Raises:
        Refused: there is no consent, it is data already or no scikit-learn model, skops cannot
            store it, the release is taken, or the stored model predicts differently.
    """
    version = registry.by_release(release)
    with scratch_folder("version") as folder:
        package = download(registry, version.number, folder)
        flavor = package.flavors.get("sklearn")
        if flavor is None:
            raise Refused(N_("{release} is no scikit-learn model; train it anew."), release=release)
        if flavor.get("serialization_format") == "skops":
            raise Refused(N_("{release} is data already; nothing to do."), release=release)
        if not trust_pickle:
            raise Refused(CONSENT, path=release)
        contract = contract_of(package, version)
        try:
            estimator = load_untrusted(package)
        except Exception as exc:
            text = N_(
                "Version {release}, written by scikit-learn {writer}, does not load with {here}: "
                "{kind}"
            )
            facts = {"writer": flavor.get("sklearn_version"), "here": sklearn.__version__}
            raise Refused(text, release=release, **facts, kind=type(exc).__name__) from exc
        stored, _kind = as_data(estimator)
        _compare(estimator, stored, package, contract)
        with exclusive(registry):
            made = _register(registry, version, package, contract, stored, new)
            number = str(made.number)
            why = _("{release}, pickle read once", release=release)
            Ledger(registry).record("convert", why, after=number, version=number)
    return made


def _compare(old: Any, stored: Any, package: Package, contract: ModelContract) -> None:
    """Compare predictions for MLflow's input example, if there is one, and for synthetic rows.

    Raises:
        Refused: they differ, or the old model predicts for no row.
    """
    example = Model.load(str(package.folder)).load_input_example(str(package.folder))
    known = contract.example.instance if contract.example else _plain(contract)
    invented = invent_rows(contract.features, known)
    named = hasattr(old, "feature_names_in_")
    answered = False
    for rows in (example, invented if named else invented.to_numpy()):
        try:
            before = getattr(old, package.method)(rows)
        except Exception:  # noqa: S112 (rows that the model does not take tell nothing)
            continue
        answered = True
        if not _alike(before, getattr(stored, package.method)(rows)):
            raise Refused(N_("The converted model answers otherwise; nothing was done."))
    if not answered:
        raise Refused(N_("The model answers no row that it could be compared by."))


def _plain(contract: ModelContract) -> Mapping[str, Any]:
    empty = {"double": 1.0, "long": 1, "boolean": False, "string": "", "datetime": "2024-01-01"}
    return {f.name: f.values[0] if f.values else empty[f.type] for f in contract.features}


def _alike(before: Any, after: Any) -> bool:
    one, other = np.asarray(before), np.asarray(after)
    if one.dtype.kind != "f":
        return np.array_equal(one, other)
    return one.shape == other.shape and np.allclose(one, other, rtol=0, atol=EQUAL, equal_nan=True)


def _register(
    registry: Registry,
    old: Version,
    package: Package,
    contract: ModelContract,
    model: Any,
    new: str | None,
) -> Version:
    """Log and register the old version's model, stored as data."""
    logged = Model.load(str(package.folder))
    metadata, tags = dict(package.metadata), {"converted_from": str(old.number)}
    stated = names.METADATA_CONTRACT in metadata
    if new or stated or names.TAG_RELEASE in old.tags:
        tags[names.TAG_RELEASE] = release = next_release(registry, new)
        if stated:
            metadata[names.METADATA_CONTRACT] = {**metadata["contract"], "release": release}
    mlflow.set_experiment(f"{registry.name}-training")
    with mlflow.start_run(run_name=f"convert {contract.release}"):
        mlflow.log_params({"converted_from": old.number, "serialization": "skops"})
        mlflow.log_metrics(dict(training_record(registry, old).metrics))
        info = log_stored(
            model,
            "skops",
            pyfunc_predict_fn=package.method,
            signature=logged.signature,
            input_example=logged.load_input_example(str(package.folder)),
            metadata=metadata or None,
            pip_requirements=str(package.folder / "requirements.txt"),
        )
    tags |= _copy_knowledge(registry, old, package, info.model_id)
    text = _("converted from {release}, which is a pickle", release=contract.release)
    return register_tried(registry, info.model_uri, tags, text)


def _copy_knowledge(
    registry: Registry, old: Version, package: Package, model_id: str
) -> dict[str, str]:
    """Copy description and evidence of the old version to a model; return the tag for them."""
    digest = old.tags.get(names.TAG_DESCRIPTION)
    with scratch_folder("evidence") as folder:
        for artifact in _EVIDENCE:
            fetch_evidence(registry, old, artifact, folder)
        if digest:
            description = artifact_of(digest)
            (folder / description).parent.mkdir(exist_ok=True)
            shutil.copy(package.folder / description, folder / description)
        if any(folder.iterdir()):
            registry.client.log_model_artifacts(model_id, str(folder))
    return {names.TAG_DESCRIPTION: digest} if digest else {}
