"""Loading and verification of a registry version, or its refusal with the reason.

A version must be data, not code: no code of its own, no pickle, and no type that runs code while it
is read; only `ALLOW_PICKLE` lets a pickle or another flavour run code here. A version's metadata
must match its model: the signature the contract, and the example its logged score.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from core.contract import names
from core.contract.derived import label_of
from core.contract.model import ContractError, ModelContract
from core.files.older_sklearn import writer
from core.files.scratch import scratch_folder
from core.messages import _
from core.mlflow_client.errors import RegistryError, VersionRefused
from core.registry.files import Package
from core.registry.packages import contract_of, download
from core.registry.runs import RunFacts, run_facts
from core.registry.versions import Registry, Version
from serving.config.settings import Settings
from serving.errors import RequestError
from serving.model.flavours import UnfitError, method_of
from serving.model.inputs import Inputs, Rows
from serving.model.nulls import nulls_tried
from serving.model.scoring import Output, Scorer
from serving.model.trial import try_version
from serving.protocol.decoder import InstanceReader
from serving.protocol.params import Params, ParamsReader
from serving.protocol.validation import Validator
from serving.telemetry.logs import location

EXAMPLE_TOLERANCE = 1e-6
"""Largest difference between the example's logged score and the one computed here."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedVersion:
    """A loaded and verified version; immutable, even when its alias or tags change."""

    name: str
    target: Version
    trained_at: str
    contract: ModelContract
    signature: Mapping[str, Any]
    metrics: Mapping[str, float]
    validator: Validator
    reader: InstanceReader
    score: Scorer
    params: ParamsReader

    @property
    def number(self) -> int:
        """Return the registry's number of the version."""
        return self.target.number

    @property
    def matrix(self) -> bool:
        """Return whether the signature is a tensor: the model takes a matrix without names."""
        return [spec.get("type") for spec in self.signature["inputs"] or ()] == ["tensor"]

    def output(self, rows: Rows, params: Params | None = None) -> Output:
        """Return the output of pyfunc's `predict` for the rows, with the signature's parameters."""
        return self.score.output(rows, self.params.defaults if params is None else params)

    @property
    def run_id(self) -> str | None:
        """Return the id of the run that logged the version."""
        return self.target.run_id


def load_version(
    registry: Registry,
    target: Version,
    settings: Settings,
    accept: Callable[[LoadedVersion, Path, RunFacts], None],
) -> LoadedVersion:
    """Download, verify and load the version that an alias names.

    `accept` is called with the verified version and its files, which are deleted afterwards.

    Raises:
        VersionRefused: it must not or cannot be served, or `accept` refused it.
        RegistryUnreachable: its files or its run cannot be read now.
        OSError: there is no disk space for its files.
    """
    with scratch_folder("version") as folder:
        package = download(registry, target.number, folder)
        facts = run_facts(registry, target.run_id)
        version = read_version(registry, target, package, facts, settings)
        accept(version, package.folder, facts)
    return version


def read_version(
    registry: Registry, target: Version, package: Package, facts: RunFacts, settings: Settings
) -> LoadedVersion:
    """Verify and load a version's files.

    Raises:
        VersionRefused: it must not or cannot be served.
    """
    try:
        contract = _contract(package, target)
        method = method_of(package, settings)
        if not contract.outputs and names.METADATA_CONTRACT in package.metadata:
            _check_signature(package, contract)
        inputs = Inputs(contract.features, package.inputs or ())
        if names.METADATA_CONTRACT not in package.metadata:
            contract = nulls_tried(contract, method, inputs)
        positive = None if contract.outputs else contract.positive_class
        version = LoadedVersion(
            name=registry.name,
            target=target,
            trained_at=facts.started or target.created.isoformat(timespec="seconds"),
            contract=contract,
            signature={"inputs": package.inputs, "outputs": package.outputs},
            metrics=facts.metrics,
            validator=Validator(contract, settings.max_instances),
            reader=InstanceReader(contract, settings.max_instances, settings.max_invocations_rows),
            params=ParamsReader(package.params or ()),
            score=Scorer(method, inputs, positive),
        )
        _check_example(version)
        try_version(version.score, method, contract.features, version.validator, package.folder)
    except UnfitError as exc:
        raise VersionRefused(target.number, f"{exc}{_written(package)}") from exc
    except (RegistryError, OSError):
        raise
    except Exception as exc:
        # A retry would read the same files and fail again: refuse the version.
        text = _("it cannot be loaded ({where})", where=location(exc))
        raise VersionRefused(target.number, f"{text}{_written(package)}") from exc
    return version


def _written(package: Package) -> str:
    """Return a note on the scikit-learn release that wrote the model, if it differs from this."""
    found = writer(package.flavors)
    if found is None:
        return ""
    return " " + _(
        "(written by scikit-learn {writer}; here: {here})", writer=found[0], here=found[1]
    )


def _contract(package: Package, target: Version) -> ModelContract:
    """Return the contract that the version states, else the one derived from its signature."""
    try:
        return contract_of(package, target)
    except ContractError as exc:
        raise UnfitError(_("invalid contract: {reason}", reason=exc)) from exc


def _check_signature(package: Package, contract: ModelContract) -> None:
    if package.inputs is None or package.outputs is None:
        raise UnfitError(_("no signature of inputs and outputs"))
    signed = [(str(label_of(i, one)), one.get("type")) for i, one in enumerate(package.inputs)]
    stated = [(feature.name, feature.type) for feature in contract.features]
    if signed != stated:
        differing = sorted({str(name) for name, _ in set(signed) ^ set(stated)})
        where = ", ".join(differing) or _("the order")
        raise UnfitError(_("signature and contract differ in {where}", where=where))


def _check_example(version: LoadedVersion) -> None:
    """Raise UnfitError unless the contract's example, read as a request, gets its logged score."""
    example = version.contract.example
    if example is None:
        return
    body = msgspec.json.encode({"instances": [dict(example.instance)]})
    try:
        score = version.score(version.reader.read(body).rows)[0]
    except RequestError as exc:
        fields = ", ".join(sorted({str(detail["field"]) for detail in exc.details}))
        text = _(
            "the version's example is not scored: {reason} {fields}", reason=exc, fields=fields
        )
        raise UnfitError(text) from exc
    if score is None or not abs(score - example.score) <= EXAMPLE_TOLERANCE:
        raise UnfitError(_("the version's example does not get the score logged with it"))
