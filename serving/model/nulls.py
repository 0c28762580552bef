"""Nullable numeric features of a version without a stated contract, determined by trial scoring.

MLflow accepts NaN for a `double` that its signature calls required, and leaves its refusal to the
model; so a feature is nullable here where the model scores rows with a null in it. A column that is
not sent at all is refused, as in MLflow.
"""

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from core.contract.model import ModelContract
from serving.compiled.agreement import Method
from serving.model import probes
from serving.model.inputs import Inputs
from serving.model.shortcut import seen_values


def nulls_tried(contract: ModelContract, method: Method, inputs: Inputs) -> ModelContract:
    """Return a signature's contract, with each `double` nullable if `method` scores nulls in it."""
    asked = [
        place
        for place, feature in enumerate(contract.features)
        if feature.type == "double" and not feature.nullable
    ]
    known = seen_values(getattr(method, "__self__", None), range(len(contract.features)))
    rows = probes.usual(contract.features, known)[:2]

    def answers(places: Collection[int]) -> bool:
        lacking = [[None if p in places else v for p, v in enumerate(row)] for row in rows]
        try:
            with np.errstate(all="ignore"):
                output = np.asarray(method(inputs(lacking)))
        except Exception:  # any error means that nulls are not accepted
            return False
        return output.dtype.kind != "f" or bool(np.isfinite(output).all())

    if not asked or not answers(()):
        return contract
    # Most models accept nulls in all columns or none; for the others, try each column.
    taken = set(asked) if answers(asked) else {place for place in asked if answers((place,))}
    features = tuple(
        replace(feature, nullable=True, required=True) if place in taken else feature
        for place, feature in enumerate(contract.features)
    )
    return replace(contract, features=features)
