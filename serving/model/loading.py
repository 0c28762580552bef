"""From a registry version to something that can be served, or a refusal that says why.

A version is data, not a program: it may bring no code, no pickle, and no type that could act while
it is read; only `ALLOW_PICKLE` lets a pickle or another flavour run its code here. What a version
says about itself must agree with what it is: signature with contract, and its example's score.
"""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from core.contract.model import ContractError, ModelContract
from core.contract.trusted_types import PLAIN_TYPES
from core.registry.errors import VersionRefused
from core.registry.packages import Package, contract_of, download, load_untrusted
from core.registry.runs import RunFacts, run_facts
from core.registry.versions import Registry, Version
from serving.config.settings import Settings
from serving.errors import RequestError
from serving.model.inputs import Inputs, Rows
from serving.model.scoring import Output, Scorer
from serving.protocol.instances import InstanceReader
from serving.protocol.validation import Validator

EXAMPLE_TOLERANCE = 1e-6
"""Largest difference between the example's logged score and the one computed here."""

_METHODS = ("predict_proba", "predict")


class _UnfitError(Exception):
    """A check that did not pass; becomes VersionRefused where the version's number is known."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedVersion:
    """One version, read and verified; immutable, whatever its alias or tags become.

    `score` gives the score of each row.
    """

    name: str
    target: Version
    trained_at: str
    contract: ModelContract
    signature: Mapping[str, Any]
    metrics: Mapping[str, float]
    validator: Validator
    reader: InstanceReader
    score: Scorer

    @property
    def number(self) -> int:
        """Return the registry's number of the version."""
        return self.target.number

    @property
    def quick(self) -> bool:
        """Tell whether a call takes so little that the event loop may wait for it."""
        return self.score.shortcut is not None

    def output(self, rows: Rows) -> Output:
        """Return what pyfunc's `predict` would for the rows."""
        return self.score.output(rows)

    def scores(self, output: Output) -> list[float | None]:
        """Return the score in each row of an output."""
        return self.score.scores(output)

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

    Args:
        registry: where to download it from.
        target: the version.
        settings: what it may hold.
        accept: called with a good version and its files, which are gone afterwards.

    Raises:
        VersionRefused: it must not or cannot be served, or `accept` refused it.
        RegistryUnreachable: its files or its run cannot be read now.
        OSError: there is no room for its files.
    """
    with tempfile.TemporaryDirectory(prefix="version-") as folder:
        package = download(registry, target.number, Path(folder))
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
        method = _method(package, settings)
        if not contract.outputs:
            _check_signature(package, contract)
        inputs = Inputs(contract.features, package.inputs or ())
        positive = None if contract.outputs else contract.positive_class
        version = LoadedVersion(
            name=registry.name,
            target=target,
            trained_at=facts.started or target.created.isoformat(timespec="seconds"),
            contract=contract,
            signature={"inputs": package.inputs, "outputs": package.outputs},
            metrics=facts.metrics,
            validator=Validator(contract, settings.max_instances),
            reader=InstanceReader(contract, settings.max_instances),
            score=Scorer(method, contract.features, positive, inputs),
        )
        _check_example(version)
    except _UnfitError as exc:
        raise VersionRefused(target.number, str(exc)) from exc
    return version


def _contract(package: Package, target: Version) -> ModelContract:
    """Return the contract that the version states, or else the one its signature amounts to."""
    try:
        return contract_of(package, target)
    except ContractError as exc:
        raise _UnfitError(f"contrato inválido: {exc}") from exc


def _check_signature(package: Package, contract: ModelContract) -> None:
    if package.inputs is None or package.outputs is None:
        raise _UnfitError("sem assinatura (signature) de entradas e saídas")
    signed = [(column.get("name"), column.get("type")) for column in package.inputs]
    stated = [(feature.name, feature.type) for feature in contract.features]
    if signed != stated:
        differing = sorted({str(name) for name, _ in set(signed) ^ set(stated)})
        raise _UnfitError(f"assinatura e contrato diferem em {differing or 'ordem'}")


def _method(package: Package, settings: Settings) -> Any:
    """Load the model; return the method that its pyfunc flavour names."""
    flavor, pyfunc = (package.flavors.get(name) for name in ("sklearn", "python_function"))
    if pyfunc is None:
        raise _UnfitError("não tem o flavor python_function")
    if pyfunc.get("code") or (flavor or {}).get("code"):
        raise _UnfitError("traz código próprio (code_paths)")
    if flavor is not None and flavor.get("serialization_format") == "skops":
        estimator = _plain_data(package, settings.trusted_types)
    elif settings.allow_pickle:
        estimator = _program(package)
    elif flavor is None:
        raise _UnfitError("não é um modelo scikit-learn (flavor sklearn); veja ALLOW_PICKLE")
    else:
        raise _UnfitError("não está serializada com skops (pickle só com ALLOW_PICKLE=true)")
    name = pyfunc.get("predict_fn", "predict") if flavor is not None else "predict"
    if name not in _METHODS or not hasattr(estimator, name):
        raise _UnfitError(f"pyfunc_predict_fn deve ser um de {_METHODS}")
    return getattr(estimator, name)


def _plain_data(package: Package, trusted: frozenset[str]) -> Any:
    """Load a skops file without executing anything of the package."""
    import skops.io

    flavor = package.flavors["sklearn"]
    file = (package.folder / str(flavor.get("pickled_model"))).resolve()
    if not file.is_relative_to(package.folder.resolve()) or not file.is_file():
        raise _UnfitError("o arquivo do modelo não está na versão")
    try:
        asked = set(skops.io.get_untrusted_types(file=file))
        foreign = sorted(asked - PLAIN_TYPES - trusted)
        if foreign:
            raise _UnfitError(
                f"usa tipos fora da lista aceita (TRUSTED_TYPES): {', '.join(foreign)}"
            )
        return skops.io.load(file, trusted=sorted(asked))
    except _UnfitError:
        raise
    except Exception as exc:
        raise _UnfitError(f"o arquivo do modelo não pôde ser lido ({type(exc).__name__})") from exc


def _program(package: Package) -> Any:
    """Load a pickle or a pyfunc loader, which `ALLOW_PICKLE` trusts to run code here."""
    try:
        return load_untrusted(package)
    except Exception as exc:
        raise _UnfitError(f"o modelo não pôde ser carregado ({type(exc).__name__})") from exc


def _check_example(version: LoadedVersion) -> None:
    """Send the contract's example through the code that serves requests."""
    example = version.contract.example
    if example is None:
        return
    body = msgspec.json.encode({"instances": [dict(example.instance)]})
    try:
        score = version.score(version.reader.read(body).rows)[0]
    except RequestError as exc:
        fields = sorted({str(detail["field"]) for detail in exc.details})
        raise _UnfitError(f"o exemplo da versão não é pontuado: {exc.message} {fields}") from exc
    if score is None or not abs(score - example.score) <= EXAMPLE_TOLERANCE:
        raise _UnfitError("o exemplo da versão não reproduz o score registrado com ela")
