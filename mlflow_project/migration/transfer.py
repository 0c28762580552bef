"""Move a version between MLflow servers, with all its related data in one bundle.

The bundle holds the model folder (weights, signature, contract), the source run and the baseline's
run with their artifacts, the version's tags and description, and its ledger entries.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlflow.entities import LoggedModelOutput
from mlflow.models import Model

from core.contract import names
from core.contract.derived import contract_of_version
from core.contract.model import ContractError
from core.contract.numbers import NumberError, read_share
from core.files.scratch import scratch_folder
from core.messages import N_, _
from core.mlflow_client.errors import ModelMissing, NotFound, UnknownVersion, VersionRefused
from core.registry.files import open_package
from core.registry.packages import download, read_contract
from core.registry.runs import open_run
from core.registry.versions import Registry, Version
from mlflow_project.flips.ledger import Ledger, exclusive
from mlflow_project.migration.as_data import program_parts
from mlflow_project.migration.bundle import read_bundle, write_bundle
from mlflow_project.migration.run_copy import loaded_run, save_run
from mlflow_project.versions.errors import Refused
from mlflow_project.versions.registration import register_tried
from mlflow_project.versions.trial import check_example

_STAYS = (names.TAG_BASELINE_RUN_ID, names.TAG_DRIFT_STATUS, names.TAG_PERFORMANCE_STATUS)
"""Version tags that are valid only on the server they were set on."""
_SERVERS_OWN = ("model_id", "run_id", "artifact_path")
"""Entries of an `MLmodel` file that each server assigns."""
_FACTS = ("release", "model_name", "number", "tags", "description", "ledger")
"""Required keys of the version in a manifest."""


@dataclass(frozen=True, slots=True)
class Transferred:
    """Result of an export or import; `sha256` is the manifest's, which covers all files."""

    release: str
    number: int
    sha256: str
    identical: bool = False


def export_version(registry: Registry, release: str, target: Path) -> Transferred:
    """Write a version and its related data to a bundle.

    Raises:
        UnknownVersion: there is no such release.
        UnreadableContract: its inputs and outputs cannot be determined.
        Refused: `target` exists, or cannot be written.
    """
    version = registry.by_release(release)
    read_contract(registry, version)
    with scratch_folder() as folder:
        _download_model(registry, version, folder / "model")
        for part, run_id in _runs(version):
            with suppress(NotFound):  # deleted; the version does not need it
                save_run(registry.client, run_id, folder / part)
        found = registry.client.get_model_version(version.name, str(version.number))
        facts = {
            "model_name": version.name,
            "release": release,
            "number": version.number,
            "description": str(found.description or ""),
            "tags": {k: v for k, v in version.tags.items() if k not in _STAYS},
            "ledger": _told(registry, version),
        }
        digest = write_bundle(folder, {"version": facts}, target)
    return Transferred(release, version.number, digest)


def import_version(
    registry: Registry, path: Path, *, trust_pickle: bool = False, sha256: str | None = None
) -> Transferred:
    """Register the version of a bundle here; no alias moves.

    The model is checked before it is uploaded and again as a server loads it; if that fails, the
    version is removed. A release that exists here is left as it is.

    Raises:
        Refused: the bundle is damaged or another than `sha256` says, the model may run code and
            `trust_pickle` is not given, it does not give its example's score, or another version
            has its release.
    """
    with scratch_folder() as folder:
        manifest, digest = read_bundle(path, folder)
        if sha256 is not None and sha256.lower() != digest:
            text = N_("{path} is not the bundle expected: its manifest's SHA-256 is {digest}.")
            raise Refused(text, path=path, digest=digest)
        facts = _facts(manifest, path)
        release: str = facts["release"]
        _check_model(registry, facts, folder / "model", trust_pickle)
        with exclusive(registry):
            present = None
            with suppress(UnknownVersion, ModelMissing):
                present = registry.by_release(release)
            if present is not None:
                _compare(registry, present, folder / "model")
                return Transferred(release, present.number, digest, identical=True)
            version = _register(registry, facts, folder, digest)
            ledger = Ledger(registry)
            for entry in facts["ledger"]:
                ledger.copy(entry)
            origin = {"name": facts["model_name"], "number": facts["number"]}
            why = _("from {name} no. {number}, bundle {digest}", **origin, digest=digest[:16])
            number = str(version.number)
            ledger.record("import", why, after=number, version=number)
    return Transferred(release, version.number, digest)


def _runs(version: Version) -> Iterator[tuple[str, str]]:
    """Yield folder in the bundle and id of the source run and of the baseline's run."""
    if version.run_id:
        yield "run", version.run_id
    if baseline := version.tags.get(names.TAG_BASELINE_RUN_ID):
        yield "baseline", baseline


def _facts(manifest: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the facts of the version in a manifest.

    Raises:
        Refused: they are missing, invalid or contradictory.
    """
    try:
        stated: dict[str, Any] = manifest["version"]
        facts = {key: stated[key] for key in _FACTS}
        facts |= {"release": str(facts["release"]), "number": int(facts["number"])}
    except (KeyError, TypeError, ValueError) as exc:
        raise Refused(N_("{path}: the manifest describes no version."), path=path) from exc
    if wrong := _wrong(facts["tags"], facts["release"]):
        text = N_("{path}: {name} contradicts the version; nothing was imported.")
        raise Refused(text, path=path, name=wrong)
    return facts


def _wrong(tags: Any, release: str) -> str | None:
    """Return the name of a tag that contradicts the version or is invalid; None if none is."""
    if not (isinstance(tags, dict) and all(isinstance(value, str) for value in tags.values())):
        return "tags"
    if tags.get(names.TAG_RELEASE, release) != release:
        return names.TAG_RELEASE
    try:
        read_share(tags.get(names.TAG_THRESHOLD, "0"))
    except NumberError:
        return names.TAG_THRESHOLD
    return None


def _check_model(
    registry: Registry, facts: dict[str, Any], folder: Path, trust_pickle: bool
) -> None:
    release, number = facts["release"], facts["number"]
    try:
        package = open_package(registry.client, number, folder)
        reasons = program_parts(folder)
        _bind(folder, None, None, None)
        contract = contract_of_version(
            number, release, package.metadata, package.inputs, package.outputs, package.method
        )
    except (VersionRefused, ContractError, OSError) as exc:
        text = N_("The bundle of {release} holds no readable model.")
        raise Refused(text, release=release) from exc
    if reasons and not trust_pickle:
        text = N_(
            "The model of {release} {reasons}. Loading it may run any program with your "
            "rights. If you trust whoever made it: --trust-pickle"
        )
        raise Refused(text, release=release, reasons="; ".join(reasons))
    if contract.release != release:
        text = N_("The bundle says {release}, but the model's contract says {stated}.")
        raise Refused(text, release=release, stated=contract.release)
    check_example(package, contract)


def _compare(registry: Registry, present: Version, model: Path) -> None:
    """Refuse a release that exists here with another model than the one in a folder."""
    with scratch_folder() as folder:
        _download_model(registry, present, folder / "model")
        if fingerprint(folder / "model") == fingerprint(model):
            return
    text = N_(
        "Version {release} exists here (no. {number}) and is another model; nothing was imported."
    )
    raise Refused(text, release=present.release, number=present.number)


def fingerprint(folder: Path) -> str:
    """Return a digest of a model folder that does not depend on its server."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            if path.name == "MLmodel":
                stated = Model.load(str(path)).to_dict()
                kept = {k: v for k, v in stated.items() if k not in _SERVERS_OWN}
                content = json.dumps(kept, sort_keys=True, default=str).encode()
            digest.update(f"{path.relative_to(folder)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _register(registry: Registry, facts: dict[str, Any], folder: Path, digest: str) -> Version:
    """Upload runs, model and baseline; register the version last, with all its tags at once."""
    release, experiment = facts["release"], f"{registry.name}-training"
    if (folder / "run").is_dir():
        with loaded_run(registry, folder / "run", experiment) as run_id:
            model_uri = _upload_model(registry, run_id, folder / "model")
    else:
        with open_run(registry, experiment, f"import {release}", {}) as run:
            model_uri = _upload_model(registry, run.id, folder / "model")
    tags = {**facts["tags"], names.TAG_RELEASE: release, "imported_bundle": digest}
    if (folder / "baseline").is_dir():
        experiment = names.monitoring_experiment(registry.name)
        with loaded_run(registry, folder / "baseline", experiment) as run_id:
            tags[names.TAG_BASELINE_RUN_ID] = run_id
    return register_tried(registry, model_uri, tags, facts["description"] or "")


def _upload_model(registry: Registry, run_id: str, folder: Path) -> str:
    """Log a model folder as a model of the run, as `log_model` would; return its URI."""
    client = registry.client
    experiment = client.get_run(run_id).info.experiment_id
    logged = client.create_logged_model(experiment, name="model", source_run_id=run_id)
    _bind(folder, logged.model_id, run_id, logged.artifact_location)
    client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, 0)])
    return f"models:/{logged.model_id}"


def _bind(folder: Path, model_id: str | None, run_id: str | None, place: str | None) -> None:
    """Set model, run and location in a folder's `MLmodel` file; None for none.

    MLflow requests the model that a folder names from its server, where another server's id is
    unknown.
    """
    stated = Model.load(str(folder))
    stated.model_id, stated.run_id, stated.artifact_path = model_id, run_id, place
    stated.save(str(folder / "MLmodel"))


def _download_model(registry: Registry, version: Version, folder: Path) -> None:
    """Download a version's model folder, without the file that names its registry."""
    folder.mkdir()
    download(registry, version.number, folder, evidence=True)
    (folder / "registered_model_meta").unlink(missing_ok=True)


def _told(registry: Registry, version: Version) -> list[dict[str, Any]]:
    """Return the ledger's entries about a version, as plain data.

    Versions are given by release, since numbers are valid on one server only.
    """
    releases = {str(v.number): v.release for v in registry.versions()}
    told = []
    for entry in Ledger(registry).entries():
        facts = {**asdict(entry), "when": round(entry.when.timestamp() * 1000)}
        moved = () if entry.action == names.LEDGER_THRESHOLD else ("before", "after")
        named = {key: facts[key] for key in ("version", *moved)}
        if (version.release if entry.origin else str(version.number)) not in named.values():
            continue
        if not entry.origin:
            facts |= {key: releases.get(number, number) for key, number in named.items()}
        told.append(facts)
    return told
