"""Fields that the model does not have, left out and counted where the setting says so.

MLflow's own server leaves them out, so `/invocations` does unless told otherwise; at `/predict` an
unknown field is most often a misspelt one, and refused unless told otherwise.
"""

import json
from collections.abc import Sequence
from typing import Any

from serving.protocol.validation import Validator, decode


def without_unknown(instances: Sequence[Any], validator: Validator) -> tuple[list[Any], int]:
    """Return the instances with known fields only, and how many fields were left out."""
    left_out, kept = 0, []
    for instance in instances:
        if isinstance(instance, dict):
            known = {name: v for name, v in instance.items() if validator.known(name) is not None}
            left_out += len(instance) - len(known)
            instance = known
        kept.append(instance)
    return kept, left_out


def body_without_unknown(body: bytes, validator: Validator) -> tuple[bytes, int]:
    """Return a body of `/predict` with known fields only, and how many were left out.

    Raises:
        MalformedBody: it is not JSON.
    """
    document = decode(body)
    if not isinstance(document, dict) or not isinstance(document.get("instances"), list):
        return body, 0
    instances, left_out = without_unknown(document["instances"], validator)
    if not left_out:
        return body, 0
    # Not msgspec's encoder: it would write NaN as null, and the client should hear of it.
    return json.dumps({**document, "instances": instances}).encode(), left_out
