"""Late labels: outcomes one year after the predictions, from a new PEDE workbook.

`python -m mlflow_project.make_dataset --labels PEDE2025.xlsx --output labels.parquet` writes the
input of `python -m monitoring.performance_report --labels labels.parquet`: `entity`, the pseudonym
of the RA under the API's key, `target`, 1 where the student lags, and `outcome_year`, the year of
the outcome, by which only predictions made one horizon earlier are evaluated.
"""

from pathlib import Path

import pandas as pd

from core.contract.pseudonym import pseudonym
from mlflow_project.dataset.output import file_to_write
from mlflow_project.pede.errors import KeyMissingError
from mlflow_project.pede.flat import read_year
from mlflow_project.pede.reading_report import ReadingReport
from mlflow_project.pede.sheet import read_students


def write_labels(workbook: Path, target: Path, key: str | None, year: int | None) -> pd.DataFrame:
    """Write the labels of the newest sheet, or of the given year's, as Parquet; return them.

    Raises:
        DataError: no key, an unreadable workbook, or a file that cannot be written.
    """
    if not key:
        raise KeyMissingError(source=workbook)
    sheet = read_year(workbook, year)
    students = read_students(sheet, ReadingReport()).frame
    labels = pd.DataFrame(
        {
            "entity": [pseudonym(ra, key) for ra in students["ra"]],
            "target": (students["defasagem"] < 0).astype("int64"),
            "outcome_year": sheet.year,
        }
    ).sort_values("entity", ignore_index=True)
    with file_to_write(target) as path:
        labels.to_parquet(path, index=False)
    return labels
