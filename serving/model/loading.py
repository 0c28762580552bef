"""From a registry version to something that can be served, or a refusal that says why.

A version is data, not a program: it may bring no code, no pickle, and no type that could act while
it is read; only `ALLOW_PICKLE` lets a pickle or another flavour run its code here. What a version
says about itself must agree with what it is: signature with contract, and its example's score.
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
    """One version, read and verified; immutable, whatever its alias or tags become."""

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
        """Tell whether the signature is a tensor's: the model takes a matrix without names."""
        return [spec.get("type") for spec in self.signature["inputs"] or ()] == ["tensor"]

    def output(self, rows: Rows, params: Params | None = None) -> Output:
        """Return what pyfunc's `predict` would for the rows, with the signature's parameters."""
        return self.score.output(rows, self.params.defaults if params is None else params)

    @property
    def run_id(self) -> str | None:
        """Return the run that logged the version."""
        return self.target.run_id


def load_version(
    registry: Registry,
    target: Version,
    settings: Settings,
    accept: Callable[[LoadedVersion, Path, RunFacts], None],
) -> LoadedVersion:
    """Download, check and load what an alias points to.

    `accept` is called with a good version and its files, which are gone afterwards.

    Raises:
        VersionRefused: it must not or cannot be served, or `accept` refused it.
        RegistryUnreachable: its files or its run cannot be read now.
        OSError: there is no room for its files.
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
    """Check and load a version's files.

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
        # Its files will be the same at the next look, and so would the failure.
        text = _("it cannot be loaded ({where})", where=location(exc))
        raise VersionRefused(target.number, f"{text}{_written(package)}") from exc
    return version


def _written(package: Package) -> str:
    """Return which scikit-learn wrote the model, where that is another one than here."""
    found = writer(package.flavors)
    if found is None:
        return ""
    return " " + _(
        "(written by scikit-learn {writer}; here: {here})", writer=found[0], here=found[1]
    )


def _contract(package: Package, target: Version) -> ModelContract:
    """Return the contract that the version states, or else the one its signature amounts to."""
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
    """Send the contract's example through the code that serves requests."""
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
