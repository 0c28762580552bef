"""One year's children ready to be scored, with what names each of them; no next year needed."""

from dataclasses import dataclass
from typing import Any

from mlflow_project.pede.features import FEATURE_NAMES
from mlflow_project.pede.reading_report import Entry, Tally
from mlflow_project.pede.sheet import LeftOut, read_students
from mlflow_project.pede.workbook import Source, read_sheet


@dataclass(frozen=True, slots=True)
class ChildrenList:
    """The children of one year's sheet.

    Attributes:
        year: the year of the sheet, which is the period of the rows.
        rows: a mapping a child: the contract's features (a float, or None where unknown) and `ra`,
            the entity, in its canonical spelling.
        labels: what names each row, in the same order, as the workbook has it: `RA`, `Nome`,
            `Turma`, `Fase`; an empty text where there is none.
        not_scored: rows that are no child's who can be scored, by their labels, each with a reason.
        problems: what was converted, dropped, unreadable or absent, by sheet and column, with
            counts and without values.
    """

    year: int
    rows: list[dict[str, Any]]
    labels: list[dict[str, str]]
    not_scored: list[LeftOut]
    problems: tuple[Entry, ...]


def read_list(source: Source, year: int | None = None) -> ChildrenList:
    """Return the children of a workbook's newest sheet, or of the given year's.

    Args:
        source: the workbook's path, or its content.
        year: year of the sheet to read.

    Raises:
        DataError: the workbook, or the sheet, cannot be read; the message says what to do.
    """
    sheet = read_sheet(source, year)
    tally = Tally()
    students = read_students(sheet, tally)
    inputs = students.frame[["ra", *FEATURE_NAMES]].astype("object")
    inputs = inputs.where(inputs.notna(), None)
    rows = [dict(zip(inputs.columns, row, strict=True)) for row in inputs.to_numpy()]
    return ChildrenList(
        sheet.year, rows, students.labels, students.left_out, tally.report().entries
    )
