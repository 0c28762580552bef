"""Trial of a version before it is served: load it, read its contract, score its own example."""

from typing import TYPE_CHECKING

from core.contract.model import Example, ModelContract
from core.contract.types import FEATURE_TYPES
from core.files.scratch import scratch_folder
from core.messages import N_
from core.messages.formats import number
from core.registry.files import Package
from core.registry.packages import ask, contract_of, download, load_pyfunc, readable, scores_of
from core.registry.versions import Registry, Version
from mlflow_project.versions.errors import Refused

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE = 1e-6
"""Largest accepted difference between the reloaded and the logged model's score of its example."""


def try_version(registry: Registry, version: Version) -> ModelContract:
    """Load a version as a server would and check that it scores its own example as logged.

    Returns its contract.

    Raises:
        Refused: it does not load, or its score differs.
        UnreadableContract: its inputs and outputs cannot be determined.
    """
    with scratch_folder("version") as folder:
        with readable(version):
            package = download(registry, version.number, folder)
            contract = contract_of(package, version)
        check_example(package, contract)
    return contract


def check_example(package: Package, contract: ModelContract) -> None:
    """Load a model and check that it scores its contract's example as logged.

    Without an example in the contract, the model must predict on MLflow's input example, if there
    is one.

    Raises:
        Refused: it does not load, or its score differs.
    """
    release, example = contract.release, contract.example
    try:
        model = load_pyfunc(package.folder)
        if example is None:
            if model.input_example is not None:
                model.predict(model.input_example)
            return
        score = float(scores_of(ask(model, frame_of(contract, example)), contract)[0])
    except Exception as exc:
        facts = {"release": release, "kind": type(exc).__name__}
        raise Refused(N_("Version {release} does not load: {kind}"), **facts) from exc
    if abs(score - example.score) > TOLERANCE:
        text = N_(
            "Version {release} gives its own example {found}, not {logged}: "
            "it is not the model that was registered."
        )
        facts = {"found": number(score, 6), "logged": number(example.score, 6)}
        raise Refused(text, release=release, **facts)


def frame_of(contract: ModelContract, example: Example) -> "pd.DataFrame":
    """Return an example as the typed frame (1, k) that the contract describes."""
    import pandas as pd

    columns = {}
    for feature in contract.features:
        kind, value = FEATURE_TYPES[feature.type], example.instance[feature.name]
        dtype = kind.with_nulls if value is None else kind.pandas
        columns[feature.name] = pd.Series([value], dtype=dtype)
    return pd.DataFrame(columns)
