"""Selection of captured rows for a job, and the plan for reading them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from core.store.arrow_types import ARROW_TYPES
from core.store.schema import ANSWERED, ROLE_PRIMARY, JournalHeader, moment_of, version_of


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows that a version scored in a role within [start, end] (aware times).

    Without a `registry_version`, the rows of every version of the model. Scores of a list or a
    file (`batch`) were returned to a client as well, so the role `primary` includes them.
    """

    model_name: str
    registry_version: int | None
    start: datetime
    end: datetime
    role: str = ROLE_PRIMARY

    @property
    def roles(self) -> tuple[str, ...]:
        """Return the roles whose rows are selected."""
        return ANSWERED if self.role == ROLE_PRIMARY else (self.role,)

    def filter(self) -> pc.Expression:
        """Return the selection as an Arrow filter over the store's columns."""
        stamp, kind = pc.field("timestamp"), ARROW_TYPES["timestamp"]
        wanted = (
            (pc.field("model_name") == self.model_name)
            & pc.field("role").isin(self.roles)
            & (stamp >= pa.scalar(self.start, kind))
            & (stamp <= pa.scalar(self.end, kind))
        )
        if self.registry_version is None:
            return wanted
        return (pc.field("registry_version") == self.registry_version) & wanted

    def may_hold(self, name: str) -> bool:
        """Return whether a file or journal may hold rows of the selection, by its name.

        A file holds rows scored within an hour of the time in its name, a compacted one those of
        its day (UTC); so whole days are compared, with a margin of one day on either side.
        """
        named = version_of(name)
        if None not in (named, self.registry_version) and named != self.registry_version:
            return False
        moment, day = moment_of(name), timedelta(days=1)
        if moment is None:
            return True
        first, last = (end.astimezone(UTC) for end in (self.start - day, self.end + day))
        return first.date() <= moment.date() <= last.date()

    def wants(self, header: JournalHeader) -> bool:
        """Return whether a journal's header constants match the selection."""
        constants = header.constants
        return (
            self.registry_version in (None, constants.get("registry_version"))
            and constants.get("model_name") == self.model_name
            and constants.get("role") in self.roles
        )


@dataclass(frozen=True, slots=True)
class ReadingPlan:
    """A read plan for an engine outside this process.

    `sources` are in the order of reading; `types` maps every column to its contract type, and
    `schema` to its Arrow type.
    """

    sources: Sequence[ds.Dataset]
    selection: Selection
    columns: tuple[str, ...]
    types: Mapping[str, str]
    schema: pa.Schema
    has_entities: bool
