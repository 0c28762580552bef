"""Which captured rows a privacy rule is about: one person's, or those that are too old. Pure."""

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc


class OfPerson:
    """Rows of one person, by pseudonym; by several where a number was spelt in several ways."""

    column = "entity"

    def __init__(self, *entities: str) -> None:
        """Name the pseudonyms."""
        self._entities = entities

    def matches(self, values: pa.Array) -> pa.Array:
        """Return which rows are the person's; a row without an entity is nobody's."""
        return pc.fill_null(pc.is_in(values, pa.array(self._entities, values.type)), False)


@dataclass(frozen=True, slots=True)
class OlderThan:
    """Rows answered before a moment (aware)."""

    moment: datetime
    column = "timestamp"

    def matches(self, values: pa.Array) -> pa.Array:
        """Return which rows are older."""
        limit = pa.scalar(self.moment, pa.timestamp("us", tz="UTC"))
        return pc.fill_null(pc.less(values, limit), False)


Rule = OfPerson | OlderThan
"""Tells rows by one of the store's leading columns: `matches` takes its values, shape (n,), and
returns for each whether the rule is about its row."""
