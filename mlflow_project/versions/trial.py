"""Trying a version before anyone is served by it: its contract, its score of its own example."""

from typing import TYPE_CHECKING

from core.contract import names
from core.contract.model import ContractError, Example, ModelContract
from core.contract.types import FEATURE_TYPES
from mlflow_project.versions.registry import Refused, Version

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE = 1e-6
"""How far a reloaded model's score of its own example may lie from the logged one."""


def read_contract(version: Version) -> ModelContract:
    """Return the contract that was logged with a version, without loading its weights.

    Raises:
        Refused: the version has none, or it cannot be read.
    """
    return contract_of(version.uri, version.release)


def contract_of(uri: str, release: str) -> ModelContract:
    """Return the contract in the metadata of the model at a URI or folder.

    Raises:
        Refused: there is none, or it cannot be read.
    """
    from mlflow.models import get_model_info

    metadata = get_model_info(uri).metadata or {}
    try:
        return ModelContract.from_dict(metadata[names.METADATA_CONTRACT])
    except (KeyError, ContractError) as exc:
        raise Refused(f"A versão {release} não traz um contrato legível: {exc}") from exc


def try_version(version: Version) -> None:
    """Load a version as a server would and check that it scores its own example as logged.

    Raises:
        Refused: it does not load, or its score differs.
    """
    check_example(version.uri, read_contract(version))


def check_example(uri: str, contract: ModelContract) -> None:
    """Load the model at a URI or folder and check that it scores its own example as logged.

    Raises:
        Refused: it does not load, or its score differs.
    """
    import mlflow.pyfunc

    release = contract.release
    if contract.example is None:
        raise Refused(f"A versão {release} não traz um exemplo para conferir.")
    try:
        output = mlflow.pyfunc.load_model(uri).predict(frame_of(contract, contract.example))
        score = float(output[0][contract.positive_class])
    except Exception as exc:
        raise Refused(f"A versão {release} não carrega: {type(exc).__name__}") from exc
    if abs(score - contract.example.score) > TOLERANCE:
        raise Refused(
            f"A versão {release} dá {score:.6f} ao seu próprio exemplo, "
            f"e não {contract.example.score:.6f}: não é o modelo que foi registrado."
        )


def frame_of(contract: ModelContract, example: Example) -> "pd.DataFrame":
    """Return an example as the typed frame (1, k) that the contract describes."""
    import pandas as pd

    columns = {}
    for feature in contract.features:
        kind, value = FEATURE_TYPES[feature.type], example.instance[feature.name]
        dtype = kind.with_nulls if value is None else kind.pandas
        columns[feature.name] = pd.Series([value], dtype=dtype)
    return pd.DataFrame(columns)
