"""The PEDE workbook of the programme as one table: a row per student and year, and what it cost.

The workbook is opened by `workbook`, columns are found by meaning (`pede_columns`), cells read one
by one (`pede_cells`), a sheet made a frame by `pede_sheet`; features are defined in
`pede_features`, errors in `data_errors`. Only what a year's sheet says of that year is read:
columns of past years are not, and nothing of a later one can be.
"""

from pathlib import Path

import pandas as pd

from mlflow_project.data_errors import DataError
from mlflow_project.pede_features import FEATURE_NAMES, FEATURES
from mlflow_project.pede_sheet import COLUMNS, read_sheet
from mlflow_project.reading_report import ReadingReport, Tally
from mlflow_project.workbook import read_sheets, require_consecutive

__all__ = ["COLUMNS", "FEATURES", "FEATURE_NAMES", "DataError", "ReadingReport", "read_workbook"]


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
