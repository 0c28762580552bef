"""The PEDE workbook of the programme as one table, or its newest year as a list to be scored.

`archive` and `workbook` open the file, `columns` maps columns to concepts, `cells` reads one cell,
`sheet` makes a frame of a sheet, `contradictions` refuses inconsistent sheets; `features` defines
the model's inputs, `errors` the exceptions. Of a sheet only columns of its own year are read, never
those of earlier or later years.
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
    """Return one row per student and year (`COLUMNS`), and the report on interpreted cells.

    `ra` is text, `ano` an integer; features, `ano_nascimento` and `inde` are float64 with NaN for
    unknown; `genero` is feminino, masculino or None, `instituicao` publica, privada, outra or None.

    Raises:
        DataError: no file, no workbook, a year's sheet or a needed column missing, or columns that
            contradict each other; the message names it.
    """
    sheets = read_sheets(source)
    require_consecutive(sheets)
    report = ReadingReport()
    frames = [read_students(sheet, report).frame for sheet in sheets]
    compare_years(frames, sheets, report)
    students = pd.concat(frames, ignore_index=True)
    # A day of birth is the same in all years: the sheet of 2022 has none, later sheets have those
    # of the same children.
    known = students["ra"].map(students.groupby("ra")["dia_nascimento"].last())
    found = students["dia_nascimento"].isna() & known.notna()
    students["idade"] = students["idade"].mask(found, decimal_ages(students, known))
    students["dia_nascimento"] = students["dia_nascimento"].fillna(known)
    return students, report


def read_list(source: Source, year: int | None = None) -> Sheet:
    """Return the children of a workbook's newest sheet, or of the given year's.

    Its rows hold the contract's features and `ra`, the entity, in its canonical form; its labels
    `RA`, `Nome`, `Turma` and `Fase` as in the workbook, empty where there is none. Rows without RA
    or lag and repeated rows of an RA are returned as not scored.

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
