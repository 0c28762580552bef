"""Interface between a workbook's reader and its scorer: rows to score, and the list written back.

A domain module (or object) implements the two functions of `SheetReader`; the proxy loads it by
name (`SHEET_READER=package.module` or `package.module:object`) and is itself independent of the
domain. A command may use a reader without a proxy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from core.errors import ProjectError


class SheetError(ProjectError):
    """A workbook that cannot be read; base class of the readers' own errors."""

    code = "unreadable_sheet"


@dataclass(frozen=True, slots=True)
class SheetProblem:
    """A count of values converted, dropped, unreadable or absent, without the values."""

    sheet: str
    column: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Unscored:
    """A row without a score: its labels, and the reason in the user's language."""

    labels: Mapping[str, str]
    reason: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows to be scored.

    Attributes:
        rows: one mapping per row, as the contract expects: features (None for null) and entity.
        labels: display labels of each row on the list, in the same order; never sent or captured.
        year: the period of the rows; None where the workbook does not state it.
        problems: values that were converted, dropped, unreadable or absent.
        unscored: rows that cannot be scored.
    """

    rows: Sequence[Mapping[str, Any]]
    labels: Sequence[Mapping[str, str]]
    year: int | None = None
    problems: Sequence[SheetProblem] = ()
    unscored: Sequence[Unscored] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """One row's score and label; `explanation` as `/predict` returns it with `explain`."""

    score: float
    label: int
    explanation: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class ScoredSheet:
    """A sheet with a result per row of `sheet.rows`, in order, and the version that scored it."""

    sheet: Sheet
    results: Sequence[Result]
    model_name: str
    release: str
    threshold: float
    when: datetime

    @property
    def flagged(self) -> int:
        """Return the number of rows with label 1."""
        return sum(result.label for result in self.results)


class SheetReader(Protocol):
    """A reader of one kind of workbook and writer of its list (.xlsx); both work on bytes."""

    def read(self, content: bytes, year: int | None = None) -> Sheet:
        """Return the rows of a workbook's newest sheet, or of the sheet of `year`.

        Raises:
            SheetError: it cannot be read; the message states the remedy and holds no cell value.
        """
        ...

    def write(self, scored: ScoredSheet) -> bytes:
        """Return the list as an Excel file."""
        ...
