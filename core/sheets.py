"""A workbook to be scored: what its reader gives to whoever scores it, and what is written after.

Whoever knows the workbook provides a module (or object) with the two functions of `SheetReader`;
the proxy is told its name (`SHEET_READER=package.module` or `package.module:object`) and knows
nothing of what the rows are about. A command may do the same without a proxy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from core.errors import ProjectError


class SheetError(ProjectError):
    """A workbook that a reader cannot read; readers draw their own below this one."""

    code = "unreadable_sheet"


@dataclass(frozen=True, slots=True)
class SheetProblem:
    """What was converted, dropped, unreadable or absent: how many values, never which."""

    sheet: str
    column: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Unscored:
    """A row that gets no score, by what names it, and why, in the reader's language."""

    labels: Mapping[str, str]
    reason: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows to be scored.

    Attributes:
        rows: a mapping a row, ready for the contract: its features (None for null) and its entity.
        labels: what names each row on the list, in the same order; it is never sent or captured.
        year: the period of the rows; None where the workbook does not say.
        problems: what became of values on the way here.
        unscored: rows that cannot be scored.
    """

    rows: Sequence[Mapping[str, Any]]
    labels: Sequence[Mapping[str, str]]
    year: int | None = None
    problems: Sequence[SheetProblem] = ()
    unscored: Sequence[Unscored] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """One row's score and label; `explanation` as `/predict` gives it with `explain`."""

    score: float
    label: int
    explanation: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class ScoredSheet:
    """A sheet with a result per row of `sheet.rows`, in order, and the version that gave them."""

    sheet: Sheet
    results: Sequence[Result]
    model_name: str
    release: str
    threshold: float
    when: datetime

    @property
    def flagged(self) -> int:
        """Return how many rows have the label 1."""
        return sum(result.label for result in self.results)


class SheetReader(Protocol):
    """Reads one kind of workbook and writes its list, an .xlsx file. Both take and give bytes."""

    def read(self, content: bytes, year: int | None = None) -> Sheet:
        """Return the rows of a workbook's newest sheet, or of a year's.

        Raises:
            SheetError: it cannot be read; the message says what to do and holds no value.
        """
        ...

    def write(self, scored: ScoredSheet) -> bytes:
        """Return the list as an Excel file."""
        ...
