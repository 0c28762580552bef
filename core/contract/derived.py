"""A contract for a version that states none, derived from its MLflow signature.

The signature says names, types and what is required; it knows no units, ranges or threshold, so the
outputs are returned as the model gives them.
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
    """Return the contract that a version's metadata state, or the one its signature amounts to.

    Args:
        number: the registry's number of the version.
        tagged: the version's release tag; without a usable one the release is `v0.0.<number>`.
        metadata: the model's, as its `MLmodel` file has them.
        inputs: the signature's input schema, as MLflow's `Schema.to_dict` gives it; None: no
            signature.
        outputs: its output schema, likewise; None where it has none.
        method: the estimator's method that pyfunc calls. What is kept as the score of several
            outputs is the first, of two probabilities the second.

    Raises:
        ContractError: the stated one cannot be read; or there is none and no signature either, or
            one with an input of a kind that no flat row can hold, or whose name is no text.
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
        # No output is compared with it, since the outputs are named.
        threshold=0.5,
        positive_class=int(method == "predict_proba" and _width(outputs) in (None, 2)),
        outputs=output_names(outputs),
        output_kind=output_kind(outputs, method),
    )


def release_of(number: int, tagged: str | None) -> str:
    """Return a version's release: its tag's, or `v0.0.<number>` where that is none."""
    return tagged if tagged and RELEASE.fullmatch(tagged) else f"v0.0.{number}"


def output_names(outputs: Specs | None) -> tuple[str, ...]:
    """Return a name for each output column, `prediction` where the schema has none."""
    named = [str(spec["name"]) for spec in outputs or [] if spec.get("name")]
    return tuple(named) if named and len(named) == len(outputs or []) else (DEFAULT_OUTPUT,)


def output_kind(outputs: Specs | None, method: str) -> str:
    """Return what a model's outputs are: a number foretold, a class, or empty: not known."""
    if method == "predict_proba":
        return CLASSES
    if not outputs or _width(outputs) != 1:
        return ""
    tensor = outputs[0].get("tensor-spec")
    kind = of_tensor(str(tensor["dtype"])) if tensor else of_mlflow(str(outputs[0].get("type")))
    # Labels are whole numbers, texts or booleans; scikit-learn's regressors give doubles.
    return VALUE if kind == "double" else CLASSES


def _width(outputs: Specs | None) -> int | None:
    """Return how many values a row of outputs has; None where the schema does not say."""
    if not outputs or outputs[0].get("type") != "tensor":
        return len(outputs) if outputs else None
    shape = tuple(outputs[0]["tensor-spec"]["shape"])
    width = int(shape[-1]) if len(shape) > 1 else 1
    return width if width > 0 else None


def label_of(place: int, spec: Mapping[str, Any]) -> str | int:
    """Return what a frame of MLflow's calls an input column; one without a name has its number."""
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
    """Return `x0`, `x1`, ... for a matrix of numbers of known width."""
    shape, dtype = tuple(tensor["shape"]), str(tensor["dtype"])
    kind = of_tensor(dtype)
    if len(shape) != 2 or shape[1] < 1 or kind is None:
        message = N_("inputs of shape {shape} and type {dtype} are no flat rows")
        raise ContractError(message, shape=shape, dtype=dtype)
    return [Feature(f"x{column}", kind, nullable=False) for column in range(shape[1])]
