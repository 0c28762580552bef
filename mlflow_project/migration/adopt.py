"""Register an old `model.joblib` as a version: unpickled once, by consent, and verified equal.

A joblib file is a pickle, and reading a pickle may run any program. The version is data (skops)
unless `keep_pickle` is given, with a contract made from the files beside the old model.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec

from core.contract import names
from core.contract.model import ContractError, Example, ModelContract
from core.messages import N_, _
from core.registry.versions import Registry, Version
from mlflow_project.flips.ledger import Ledger, exclusive
from mlflow_project.migration.as_data import EQUAL, as_data, log_stored
from mlflow_project.migration.bundle import digest_of
from mlflow_project.migration.invented import invent_example, invent_rows, read_example
from mlflow_project.migration.old_files import read_old_files
from mlflow_project.migration.old_model import CONSENT, OldEstimator, read_pickle
from mlflow_project.migration.renaming import rename_inputs
from mlflow_project.runs.fingerprint import PACKAGES
from mlflow_project.versions.errors import Refused
from mlflow_project.versions.registration import next_release, register_tried
from mlflow_project.versions.trial import frame_of


@dataclass(frozen=True, slots=True)
class Request:
    """What to adopt; `release`, `threshold` and `example` override the files."""

    model: Path
    metadata: Path
    signature: Path
    release: str | None = None
    threshold: float | None = None
    example: Path | None = None
    trust_pickle: bool = False
    keep_pickle: bool = False


@dataclass(frozen=True, slots=True)
class Adopted:
    """Result of an adoption: version, storage (`skops` or `cloudpickle`) and warnings.

    `renamed` maps old names of inputs to the year-free ones, where they differ.
    """

    version: Version
    serialization: str
    renamed: Mapping[str, str]
    warnings: tuple[str, ...]


def adopt(registry: Registry, request: Request) -> Adopted:
    """Register an old model as a version; no alias moves.

    Raises:
        Refused: there is no consent; the files do not state release, threshold or inputs; the model
            is no binary classifier over these inputs; it cannot be stored as data and `keep_pickle`
            is not given; or the stored model scores differently.
    """
    if not request.trust_pickle:
        raise Refused(CONSENT, path=request.model)
    stated = read_old_files(request.metadata, request.signature)
    release = request.release or stated.release
    threshold = stated.threshold if request.threshold is None else request.threshold
    if release is None:
        text = N_("{path} does not say the model's version; say it with --version.")
        raise Refused(text, path=request.metadata)
    if threshold is None:
        text = N_("{path} does not say the model's threshold; say it with --threshold.")
        raise Refused(text, path=request.metadata)
    next_release(registry, release)  # a taken one is refused before the pickle is read
    old = read_pickle(request.model, stated)
    contract = _contract(old, release, threshold, request.example)
    renamed = {column: name for name, column in old.old.columns.items() if name != column}
    new = deepcopy(old.model)
    rename_inputs(new, renamed)
    stored, kind = as_data(new, keep_pickle=request.keep_pickle)
    _compare(old, stored, contract)
    with exclusive(registry):
        next_release(registry, release)  # checked again under the lock
        version = _register(registry, request, stated.metrics, contract, stored, kind)
        facts = {"name": request.model.name, "digest": digest_of(request.model)[:16]}
        why = _("{name} (SHA-256 {digest}), pickle read once", **facts)
        number = str(version.number)
        Ledger(registry).record("adopt", why, after=number, version=number)
    return Adopted(version, kind, renamed, old.warnings)


def _contract(
    estimator: OldEstimator, release: str, threshold: float, example: Path | None
) -> ModelContract:
    """Build the contract; a feature is nullable where the model scores a null."""
    old = estimator.old
    invented = read_example(example, old.columns) if example else invent_example(old.features)
    try:
        draft = ModelContract(
            release=release,
            features=old.features,
            target=old.target,
            threshold=threshold,
            threshold_policy={"rule": _("adopted"), "scores": _("of the old service")},
            score_name=old.score_name,
            label_name=old.label_name,
            positive_class=estimator.positive,
            entity="ra",
            # Clients of the old service send `fase_2023`.
            year_suffixes=any(name != column for name, column in old.columns.items()),
        )
        row = frame_of(draft, Example(invented, 0.0))
        score = float(estimator.scores(row)[0])
    except ContractError as exc:
        raise Refused(N_("The contract cannot be served: {reason}"), reason=exc) from exc
    except Exception as exc:
        text = N_("The model does not score the example ({kind}); give one with --example.")
        raise Refused(text, kind=type(exc).__name__) from exc
    features = tuple(
        replace(f, nullable=f.nullable and estimator.takes_null(row, f)) for f in old.features
    )
    return replace(draft, features=features, example=Example(invented, score))


def _compare(old: OldEstimator, stored: Any, contract: ModelContract) -> None:
    """Refuse unless old and stored model give equal scores for 256 synthetic rows with nulls."""
    assert contract.example is not None  # noqa: S101 (made with one)
    frame = invent_rows(contract.features, contract.example.instance)
    asked = frame if hasattr(stored, "feature_names_in_") else frame.to_numpy()
    try:
        after = np.asarray(stored.predict_proba(asked))[:, contract.positive_class]
    except Exception as exc:
        text = N_("With names without year the model does not score ({kind}); train it anew.")
        raise Refused(text, kind=type(exc).__name__) from exc
    worst = float(np.max(np.abs(after - old.scores(frame))))
    if not worst <= EQUAL:
        text = N_(
            "The converted model differs from the old one by up to {worst}; nothing was done."
        )
        raise Refused(text, worst=worst)


def _register(
    registry: Registry,
    request: Request,
    metrics: Mapping[str, float],
    contract: ModelContract,
    model: Any,
    kind: str,
) -> Version:
    """Log and register; a version that a server could not load is removed again."""
    file = request.model.name
    mlflow.set_experiment(f"{registry.name}-training")
    with mlflow.start_run(run_name=f"adopt {contract.release}"):
        mlflow.log_params(
            {
                "release": contract.release,
                "threshold": contract.threshold,
                "contract_digest": contract.digest(),
                "adopted_file": file,
                "adopted_sha256": digest_of(request.model),
                "serialization": kind,
            }
        )
        # Not `test_...`: they were not measured here and cannot be reproduced.
        mlflow.log_metrics({f"reported_{name}": value for name, value in metrics.items()})
        mlflow.log_artifact(str(request.metadata), "adopted")
        info = _log(model, contract, kind)
    tags = {names.TAG_RELEASE: contract.release, "adopted": kind}
    facts = {"release": contract.release, "threshold": contract.threshold}
    text = _("{release}: adopted from {name}, threshold {threshold}", **facts, name=file)
    return register_tried(registry, info.model_uri, tags, text)


def _log(model: Any, contract: ModelContract, kind: str) -> Any:
    assert contract.example is not None  # noqa: S101 (made with one)
    inputs = Schema([ColSpec(f.type, f.name) for f in contract.features])
    outputs = Schema([TensorSpec(np.dtype("float64"), (-1, 2))])
    return log_stored(
        model,
        kind,
        pyfunc_predict_fn="predict_proba",
        signature=ModelSignature(inputs, outputs),
        input_example=frame_of(contract, contract.example),
        metadata={names.METADATA_CONTRACT: contract.to_dict()},
        pip_requirements=[f"{package}=={installed(package)}" for package in PACKAGES],
    )
