"""The PEDE workbook of the programme as one table: a row per student and year, and what it cost.

`workbook` opens the file, `columns` finds columns by meaning, `cells` reads one cell, `sheet` makes
a frame of a sheet; `features` defines the model's inputs, `errors` what can go wrong. Only what a
sheet says of its own year is read: columns of past years are not, those of a later one cannot be.
"""

from pathlib import Path

import pandas as pd

from mlflow_project.pede.errors import DataError
from mlflow_project.pede.features import FEATURE_NAMES, FEATURES
from mlflow_project.pede.reading_report import ReadingReport, Tally
from mlflow_project.pede.sheet import COLUMNS, read_sheet
from mlflow_project.pede.workbook import read_sheets, require_consecutive

__all__ = [
    "COLUMNS",
    "FEATURES",
    "FEATURE_NAMES",
    "DataError",
    "ReadingReport",
    "read_sheet",
    "read_workbook",
]


def read_workbook(path: Path) -> tuple[pd.DataFrame, ReadingReport]:
    """Return one row per student and year (`COLUMNS`), and what was done to the cells.

    `ra` is text, `ano` an integer; features, `ano_nascimento` and `inde` are float64 with NaN for
    unknown; `genero` is feminino, masculino or None, `instituicao` publica, privada, outra or None.

    Raises:
        DataError: no file, no workbook, a year's sheet or a needed column missing; names it.
    """
    sheets = read_sheets(path)
    require_consecutive(path, [sheet.year for sheet in sheets])
    tally = Tally()
    frames = [read_sheet(path, sheet, tally) for sheet in sheets]
    return pd.concat(frames, ignore_index=True), tally.report()
