"""One year's children ready to be scored, with what names each of them; no next year needed."""

from core.sheets import Sheet
from mlflow_project.pede.features import FEATURE_NAMES
from mlflow_project.pede.flat import read_year
from mlflow_project.pede.reading_report import ReadingReport
from mlflow_project.pede.sheet import read_students
from mlflow_project.pede.workbook import Source


def read_list(source: Source, year: int | None = None) -> Sheet:
    """Return the children of a workbook's newest sheet, or of the given year's.

    Its rows hold the contract's features and `ra`, the entity, in its canonical spelling; its
    labels `RA`, `Nome`, `Turma` and `Fase` as the workbook has them, empty where there is none.
    Not scored are rows without RA or lag and all but the first of one RA.

    Args:
        source: the workbook's path, or its content.
        year: year of the sheet to read.

    Raises:
        DataError: the workbook, or the sheet, cannot be read; the message says what to do.
    """
    sheet, report = read_year(source, year), ReadingReport()
    students = read_students(sheet, report)
    inputs = students.frame[["ra", *FEATURE_NAMES]].astype("object")
    inputs = inputs.where(inputs.notna(), None)
    return Sheet(
        rows=[dict(zip(inputs.columns, row, strict=True)) for row in inputs.to_numpy()],
        labels=students.labels,
        year=sheet.year,
        problems=report.entries,
        unscored=students.left_out,
    )
