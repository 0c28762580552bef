"""Validated rows of one request."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Instances:
    """Validated instances of one request.

    Attributes:
        rows: one sequence per instance, a value per feature in contract order, None for null.
        entities: the entity id of each instance as sent, None where absent; never stored as it is.
        explain: whether the client requested an explanation.
        periods: the year of each instance, None where it is not stated; None as a whole without
            periods.
    """

    rows: Sequence[Sequence[Any]]
    entities: Sequence[str | None]
    explain: bool = False
    periods: Sequence[int | None] | None = None
