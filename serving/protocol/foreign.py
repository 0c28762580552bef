"""A version without a contract of its own: any column names, and its signature's exact types."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from serving.protocol.instances import Instances
from serving.protocol.validation import Validator

_NARROW = {"float": "float32", "integer": "int32"}


class CarefulReader:
    """Reads bodies by the validator alone: column names need not be identifiers here."""

    def __init__(self, validator: Validator) -> None:
        """Keep the validator."""
        self._validator = validator

    def read(self, body: bytes) -> Instances:
        """Decode and check one body.

        Raises:
            MalformedBody: it is not JSON.
            InvalidInstances: it does not fit; lists every problem.
        """
        return Instances(*self._validator.read(body))


def cast_inputs(
    method: Callable[[Any], Any], inputs: Sequence[Mapping[str, Any]]
) -> Callable[[Any], Any]:
    """Return the method behind a cast to the signature's narrow types and tensors.

    pyfunc casts the same way, so a `float` column is rounded to 32 bits in both. A model that was
    fitted on an array gets an array.
    """
    if [spec.get("type") for spec in inputs] == ["tensor"]:
        dtype = str(inputs[0]["tensor-spec"]["dtype"])
        return lambda frame: method(frame.to_numpy().astype(dtype, copy=False))
    narrow = {str(s["name"]): _NARROW[s["type"]] for s in inputs if s.get("type") in _NARROW}
    if not narrow:
        return method

    def cast(frame: pd.DataFrame) -> Any:
        # A null has no 32-bit integer; such a column stays what it is.
        whole = {k: v for k, v in narrow.items() if v != "int32" or not frame[k].hasnans}
        return method(frame.astype(whole))

    return cast
