"""Problems of a body: the first ones in full, the rest counted; a value is never repeated."""

import re
from typing import Any

from core.messages import _
from serving.errors import InvalidInstances

MAX_LISTED = 100
"""Most problems listed in one response; the rest are counted."""
_COLUMN_LIKE = re.compile(r"[a-z][a-z_]{0,39}(_20\d\d)?")


class Problems:
    """Problems found so far, and the index of the current `instance`; None for the body itself."""

    def __init__(self) -> None:
        """Start without problems, at the body."""
        self.instance: int | None = None
        self._listed: list[dict[str, Any]] = []
        self._total = 0

    @property
    def full(self) -> bool:
        """Return whether further problems are only counted."""
        return len(self._listed) >= MAX_LISTED

    def add(self, field: str | None, problem: str, allowed: str) -> None:
        """Add one problem of the current instance."""
        self._total += 1
        if not self.full:
            self._listed.append(
                {"instance": self.instance, "field": field, "problem": problem, "allowed": allowed}
            )

    def check(self) -> None:
        """Raise InvalidInstances if there is any."""
        if self._total:
            raise InvalidInstances(self._listed, self._total)


def shown_name(name: str, position: int) -> str:
    """Return an unknown field's name if it looks like a column name, else its position."""
    return name if _COLUMN_LIKE.fullmatch(name) else _("field no. {position}", position=position)
