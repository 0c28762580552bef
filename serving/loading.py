"""From a registry version to something that can be served, or a refusal that says why.

A version is data, not a program: it may bring no code, no pickle, and no type that could act while
it is read. What it says about itself must agree with what it is: signature with contract, and the
score of its own example.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mlflow_project.contract import names
from mlflow_project.contract.model import ContractError, ModelContract
from serving.errors import RequestError, VersionRefused
from serving.instances import InstanceReader
from serving.registry import AliasTarget, Package, Registry
from serving.scoring import Scorer
from serving.settings import Settings

ALLOWED_TYPES = frozenset(
    {
        "functools.partial",
        "numpy.diff",
        "numpy.dtype",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.tree._tree.Tree",
        "sklearn.utils.validation.check_array",
    }
)
"""Types that skops asks about and that are plain data of scikit-learn's own estimators."""

EXAMPLE_TOLERANCE = 1e-6
"""Largest difference between the example's logged score and the one computed here."""

_METHODS = ("predict_proba", "predict")


class _UnfitError(Exception):
    """A check that did not pass; becomes VersionRefused where the version's number is known."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedVersion:
    """One version, read and verified; immutable, whatever its alias or tags become."""

    name: str
    number: int
    run_id: str | None
    trained_at: str
    contract: ModelContract
    signature: Mapping[str, Any]
    metrics: Mapping[str, float]
    reader: InstanceReader
    score: Scorer


def load_version(registry: Registry, target: AliasTarget, settings: Settings) -> LoadedVersion:
    """Download, check and load what an alias points to.

    Raises:
        VersionRefused: it must not or cannot be served.
        RegistryUnreachable: its files or its run cannot be read now.
        OSError: there is no room for its files.
    """
    with tempfile.TemporaryDirectory(prefix="version-") as folder:
        package = registry.download(target.number, Path(folder))
        try:
            contract = _contract(package)
            _check_signature(package, contract)
            method = _method(package, settings.trusted_types)
        except _UnfitError as exc:
            raise VersionRefused(target.number, str(exc)) from exc
    metrics, started = registry.run_facts(target.run_id)
    version = LoadedVersion(
        name=registry.name,
        number=target.number,
        run_id=target.run_id,
        trained_at=started or target.created_at,
        contract=contract,
        signature={"inputs": package.inputs, "outputs": package.outputs},
        metrics=metrics,
        reader=InstanceReader(contract, settings.max_instances),
        score=Scorer(method, contract.features, contract.positive_class),
    )
    try:
        _check_example(version)
    except _UnfitError as exc:
        raise VersionRefused(target.number, str(exc)) from exc
    return version


def _contract(package: Package) -> ModelContract:
    try:
        return ModelContract.from_dict(package.metadata[names.METADATA_CONTRACT])
    except KeyError as exc:
        raise _UnfitError(f"sem {names.METADATA_CONTRACT!r} nos metadados") from exc
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


def _method(package: Package, trusted: frozenset[str]) -> Any:
    """Load the estimator without executing anything of the package; return its predict method."""
    import skops.io

    flavor, pyfunc = (package.flavors.get(name) for name in ("sklearn", "python_function"))
    if flavor is None or pyfunc is None:
        raise _UnfitError("não é um modelo scikit-learn (flavor sklearn)")
    if flavor.get("code") or pyfunc.get("code"):
        raise _UnfitError("traz código próprio (code_paths)")
    if flavor.get("serialization_format") != "skops":
        raise _UnfitError("não está serializada com skops (pickle não é aceito)")
    file = (package.folder / str(flavor.get("pickled_model"))).resolve()
    if not file.is_relative_to(package.folder.resolve()) or not file.is_file():
        raise _UnfitError("o arquivo do modelo não está na versão")
    try:
        asked = set(skops.io.get_untrusted_types(file=file))
        foreign = sorted(asked - ALLOWED_TYPES - trusted)
        if foreign:
            raise _UnfitError(
                f"usa tipos fora da lista aceita (TRUSTED_TYPES): {', '.join(foreign)}"
            )
        estimator = skops.io.load(file, trusted=sorted(asked))
    except _UnfitError:
        raise
    except Exception as exc:
        raise _UnfitError(f"o arquivo do modelo não pôde ser lido ({type(exc).__name__})") from exc
    name = pyfunc.get("predict_fn", "predict")
    if name not in _METHODS or not hasattr(estimator, name):
        raise _UnfitError(f"pyfunc_predict_fn deve ser um de {_METHODS}")
    return getattr(estimator, name)


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
    if not abs(score - example.score) <= EXAMPLE_TOLERANCE:
        raise _UnfitError("o exemplo da versão não reproduz o score registrado com ela")
