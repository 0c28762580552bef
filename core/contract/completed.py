"""A contract completed by a description: facts on a version that its model files do not state.

A version of any origin may have a signature only. Further facts (threshold, positive class, entity,
period, ranges, units, descriptions) are kept as one JSON object beside its files, referenced by a
tag, and override the contract that it states or that is derived from its signature.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from core.contract.model import ContractError, ModelContract, check_kinds
from core.messages import N_

_FIELDS = (
    *("threshold", "threshold_policy", "positive_class", "entity", "period_field", "target"),
    "example",
)
_DIGEST = re.compile("[0-9a-f]{16}")
_OF_FEATURE = ("unit", "min", "max", "description", "values", "nullable")

Knowledge = Mapping[str, Any]
"""Fields of a contract by name, and `features`: fields of each feature by its name."""


def completed(contract: ModelContract, known: Knowledge) -> ModelContract:
    """Return the contract with the fields of a description applied.

    With a threshold, a model that only named its outputs gets a score: the positive class's element
    of an output row, or its single value.

    Raises:
        ContractError: a field or feature is unknown, or the resulting contract is invalid.
    """
    fields = dict(known)
    features = fields.pop("features", {})
    _refuse_unknown(fields, _FIELDS)
    check_kinds({"features": features}, {"features": "mapping"})
    check_kinds(features, dict.fromkeys(features, "mapping"))
    _refuse_unknown(features, contract.feature_names)
    for facts in features.values():
        _refuse_unknown(facts, _OF_FEATURE)
    data = contract.to_dict()
    if "threshold" in fields:
        fields |= {"outputs": [], "output_kind": ""}
    data["features"] = [
        {**stated, **features.get(stated["name"], {})} for stated in data["features"]
    ]
    return ModelContract.from_dict({**data, **fields})


def merged(before: Knowledge, now: Knowledge) -> dict[str, Any]:
    """Return two descriptions merged: the newer takes precedence, feature by feature."""
    features = {name: dict(facts) for name, facts in before.get("features", {}).items()}
    for name, facts in now.get("features", {}).items():
        features[name] = {**features.get(name, {}), **facts}
    both = {**before, **now}
    return {**both, "features": features} if features else both


def dumped(known: Knowledge) -> tuple[str, str]:
    """Return a description as JSON text, and its digest of 16 hexadecimal digits."""
    text = json.dumps(known, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1)
    return text, hashlib.sha256(text.encode()).hexdigest()[:16]


def artifact_of(digest: str) -> str:
    """Return the path of the description with a digest, among a version's model artifacts.

    Raises:
        ContractError: `digest`, the value of a tag, is not a digest.
    """
    if not _DIGEST.fullmatch(digest):
        raise ContractError(N_("{text!r} is no digest of a description"), text=digest)
    return f"description/{digest}.json"


def _refuse_unknown(given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        message = N_("{names} cannot be described; known: {known}")
        raise ContractError(message, names=", ".join(unknown), known=", ".join(known))
