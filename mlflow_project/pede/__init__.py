"""The PEDE workbook of the programme as one table, or its newest year as a list to be scored.

`archive` and `workbook` open the file, `columns` finds columns by meaning, `cells` reads one cell,
`sheet` makes a frame of a sheet, `contradictions` refuses mix-ups; `features` defines the model's
inputs, `errors` what can go wrong. Only what a sheet says of its own year is read: columns of past
years are not, those of a later one cannot be.
"""

import pandas as pd

from core.sheets import Sheet
from mlflow_project.pede.ages import decimal_ages
from mlflow_project.pede.contradictions import compare_years
from mlflow_project.pede.errors import DataError
from mlflow_project.pede.features import EXAMPLE, FEATURE_NAMES, FEATURES
from mlflow_project.pede.flat import read_year
from mlflow_project.pede.reading_report import ReadingReport
from mlflow_project.pede.sheet import COLUMNS, read_students
from mlflow_project.pede.workbook import Source, read_sheets, require_consecutive

__all__ = [
    "COLUMNS",
    "EXAMPLE",
    "FEATURES",
    "FEATURE_NAMES",
    "DataError",
    "ReadingReport",
    "read_list",
    "read_workbook",
]


def read_workbook(source: Source) -> tuple[pd.DataFrame, ReadingReport]:
    """Return one row per student and year (`COLUMNS`), and what was done to the cells.

    `ra` is text, `ano` an integer; features, `ano_nascimento` and `inde` are float64 with NaN for
    unknown; `genero` is feminino, masculino or None, `instituicao` publica, privada, outra or None.

    Raises:
        DataError: no file, no workbook, a year's sheet or a needed column missing, or columns that
            contradict each other; names it.
    """
    sheets = read_sheets(source)
    require_consecutive(sheets)
    report = ReadingReport()
    frames = [read_students(sheet, report).frame for sheet in sheets]
    compare_years(frames, sheets, report)
    students = pd.concat(frames, ignore_index=True)
    # A day of birth is no fact of one year: the sheet of 2022 has none, and later ones have its
    # children's.
    known = students["ra"].map(students.groupby("ra")["dia_nascimento"].last())
    found = students["dia_nascimento"].isna() & known.notna()
    students["idade"] = students["idade"].mask(found, decimal_ages(students, known))
    students["dia_nascimento"] = students["dia_nascimento"].fillna(known)
    return students, report


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
