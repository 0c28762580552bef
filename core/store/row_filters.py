"""Filters of captured rows for privacy rules: one person's rows, or those too old. Pure."""

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc


class OfPerson:
    """Rows of one person, by pseudonym; by several where the identity has several spellings."""

    column = "entity"

    def __init__(self, *entities: str) -> None:
        """Store the pseudonyms."""
        self._entities = entities

    def matches(self, values: pa.Array) -> pa.Array:
        """Return the mask of the person's rows; a row without an entity never matches."""
        return pc.fill_null(pc.is_in(values, pa.array(self._entities, values.type)), False)


@dataclass(frozen=True, slots=True)
class OlderThan:
    """Rows captured before a moment (aware)."""

    moment: datetime
    column = "timestamp"

    def matches(self, values: pa.Array) -> pa.Array:
        """Return the mask of the older rows."""
        limit = pa.scalar(self.moment, pa.timestamp("us", tz="UTC"))
        return pc.fill_null(pc.less(values, limit), False)


Rule = OfPerson | OlderThan
"""Selects rows by one of the store's leading columns: `matches` takes its values, shape (n,), and
returns the mask of matching rows."""
