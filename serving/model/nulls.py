"""Which numbers may be null where only a signature says what is required: the model is asked.

MLflow takes NaN for a `double` that its signature calls required, and leaves it to the model to
refuse it; so a feature is nullable here where the model answers rows that lack it. A column that is
not sent at all is refused, as MLflow does.
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
    """Return a signature's contract, with each number nullable without which `method` answers."""
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
        except Exception:  # whatever it raises, it does not answer
            return False
        return output.dtype.kind != "f" or bool(np.isfinite(output).all())

    if not asked or not answers(()):
        return contract
    # Most models take all or none; those that impute some columns are asked one by one.
    taken = set(asked) if answers(asked) else {place for place in asked if answers((place,))}
    features = tuple(
        replace(feature, nullable=True, required=True) if place in taken else feature
        for place, feature in enumerate(contract.features)
    )
    return replace(contract, features=features)
