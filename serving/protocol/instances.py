"""The rows of one request, once they are known to fit the contract."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Instances:
    """Validated instances of one request.

    Attributes:
        rows: one sequence per instance, a value per feature in contract order, None for null.
        entities: the person of each instance as sent, None where absent; never stored as it is.
        explain: whether the client asked why.
        periods: the year that each instance is about, None where nobody said it; None for no one.
    """

    rows: Sequence[Sequence[Any]]
    entities: Sequence[str | None]
    explain: bool = False
    periods: Sequence[int | None] | None = None
