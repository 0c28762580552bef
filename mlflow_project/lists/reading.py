"""Reads one year's sheet of a PEDE workbook as rows to be scored."""

from core.errors import ProjectError
from core.sheets import Sheet, SheetError, SheetProblem, Unscored
from mlflow_project.pede import read_list


def read(content: bytes, year: int | None = None) -> Sheet:
    """Return the children of a workbook's newest sheet, or of a year's.

    Raises:
        SheetError: it cannot be read; the message says what to do and holds no value.
    """
    try:
        children = read_list(content, year)
    except ProjectError as exc:
        raise SheetError(exc.message, **exc.facts) from exc
    return Sheet(
        rows=children.rows,
        labels=children.labels,
        year=children.year,
        problems=[SheetProblem(e.sheet, e.column, e.reason, e.count) for e in children.problems],
        unscored=[Unscored(row.labels, row.reason) for row in children.not_scored],
    )
