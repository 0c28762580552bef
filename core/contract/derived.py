"""A contract for a version that states none, derived from its MLflow signature.

The signature has names, types and required inputs, but no units, ranges or threshold, so the
model's outputs are returned unchanged.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from core.contract import names
from core.contract.model import CLASSES, RELEASE, VALUE, ContractError, Feature, ModelContract
from core.contract.types import of_mlflow, of_tensor
from core.messages import N_

DEFAULT_OUTPUT = "prediction"
"""Name of an output that the signature does not name."""

Specs = Sequence[Mapping[str, Any]]


def contract_of_version(
    number: int,
    tagged: str | None,
    metadata: Mapping[str, Any],
    inputs: Specs | None,
    outputs: Specs | None,
    method: str = "predict",
) -> ModelContract:
    """Return the contract stated in a version's metadata, or else derived from its signature.

    Args:
        number: the registry's number of the version.
        tagged: the version's release tag; without a usable one the release is `v0.0.<number>`.
        metadata: the model's metadata in its `MLmodel` file.
        inputs: the signature's input schema, as returned by MLflow's `Schema.to_dict`; None: no
            signature.
        outputs: its output schema, likewise; None where it has none.
        method: the estimator's method that pyfunc calls. The first of several outputs is captured
            as the score, of two probabilities (or an undeclared number) the second.

    Raises:
        ContractError: the stated contract cannot be read; or there is neither contract nor
            signature; or an input has a type that no flat row can hold, or an unusable name.
    """
    stated = metadata.get(names.METADATA_CONTRACT)
    if stated is not None:
        return ModelContract.from_dict(stated)
    if inputs is None:
        raise ContractError(N_("no contract in the metadata and no signature"))
    return ModelContract(
        release=release_of(number, tagged),
        features=tuple(f for place, spec in enumerate(inputs) for f in _features(place, spec)),
        target="",
        # Not used: a contract with named outputs applies no threshold.
        threshold=0.5,
        positive_class=int(method == "predict_proba" and _width(outputs) in (None, 2)),
        outputs=output_names(outputs),
        output_kind=output_kind(outputs, method),
    )


def release_of(number: int, tagged: str | None) -> str:
    """Return a version's release: its tag, or `v0.0.<number>` if that is absent or invalid."""
    return tagged if tagged and RELEASE.fullmatch(tagged) else f"v0.0.{number}"


def output_names(outputs: Specs | None) -> tuple[str, ...]:
    """Return the names of the output columns; only `prediction` where not all have one."""
    named = [str(spec["name"]) for spec in outputs or [] if spec.get("name")]
    return tuple(named) if named and len(named) == len(outputs or []) else (DEFAULT_OUTPUT,)


def output_kind(outputs: Specs | None, method: str) -> str:
    """Return the kind of a model's outputs: `value`, `classes`, or empty where it is unknown."""
    if method == "predict_proba":
        return CLASSES
    if not outputs or _width(outputs) != 1:
        return ""
    tensor = outputs[0].get("tensor-spec")
    kind = of_tensor(str(tensor["dtype"])) if tensor else of_mlflow(str(outputs[0].get("type")))
    # Class labels are integers, strings or booleans; scikit-learn's regressors return doubles.
    return VALUE if kind == "double" else CLASSES


def _width(outputs: Specs | None) -> int | None:
    """Return the number of values in an output row; None where the schema does not state it."""
    if not outputs or outputs[0].get("type") != "tensor":
        return len(outputs) if outputs else None
    shape = tuple(outputs[0]["tensor-spec"]["shape"])
    width = int(shape[-1]) if len(shape) > 1 else 1
    return width if width > 0 else None


def label_of(place: int, spec: Mapping[str, Any]) -> str | int:
    """Return an input column's label in MLflow's data frames: its name, or else its position."""
    name: str | int | None = spec.get("name")
    return place if name is None else name


def _features(place: int, spec: Mapping[str, Any]) -> list[Feature]:
    if spec.get("type") == "tensor":
        return _columns(spec["tensor-spec"])
    kind, name = of_mlflow(str(spec.get("type"))), str(label_of(place, spec))
    if kind is None:
        message = N_("input {name!r} of type {type!r} is no plain column")
        raise ContractError(message, name=name, type=spec.get("type"))
    return [Feature(name, kind, nullable=not spec.get("required", True))]


def _columns(tensor: Mapping[str, Any]) -> list[Feature]:
    """Return the features `x0`, `x1`, ... of a numeric matrix of known width."""
    shape, dtype = tuple(tensor["shape"]), str(tensor["dtype"])
    kind = of_tensor(dtype)
    if len(shape) != 2 or shape[1] < 1 or kind is None:
        message = N_("inputs of shape {shape} and type {dtype} are no flat rows")
        raise ContractError(message, shape=shape, dtype=dtype)
    return [Feature(f"x{column}", kind, nullable=False) for column in range(shape[1])]
