"""Late labels: what became, a year later, of those who were scored; from a new PEDE workbook.

`python -m mlflow_project.make_dataset --labels PEDE2025.xlsx --output labels.parquet` writes what
`python -m monitoring.performance_report --labels labels.parquet` reads: `entity`, the pseudonym of
the RA under the key that the API uses, and `target`, 1 where the student lags.
"""

from pathlib import Path

import pandas as pd

from core.contract.pseudonym import pseudonym
from core.files.whole import replacing
from mlflow_project.pede import read_sheet
from mlflow_project.pede.errors import KeyMissingError, OutputError, SheetError
from mlflow_project.pede.reading_report import Tally
from mlflow_project.pede.workbook import read_sheets

LABEL_COLUMNS = ("entity", "target", "year")


def read_labels(workbook: Path, key: str) -> pd.DataFrame:
    """Return `LABEL_COLUMNS`: one row per student of the newest sheet, in the pseudonyms' order.

    A label tells of the prediction made the year before, so earlier sheets are not looked at: the
    predictions that they answer are older.

    Raises:
        DataError: the workbook or its newest sheet cannot be read.
    """
    sheets = read_sheets(workbook)
    if not sheets:
        problem = "a planilha não tem nenhuma aba de ano (PEDE2025, ...)"
        raise SheetError(workbook, "PEDE<ano>", problem, "Use a planilha PEDE original.")
    students = read_sheet(workbook, sheets[-1], Tally())
    labels = pd.DataFrame(
        {
            "entity": [pseudonym(ra, key) for ra in students["ra"]],
            "target": (students["defasagem"] < 0).astype("int64"),
            "year": sheets[-1].year,
        }
    )
    return labels.sort_values("entity", ignore_index=True)


def write_labels(workbook: Path, output: Path, key: str | None) -> str:
    """Write the labels of the newest sheet as Parquet, whole or not at all; return what to tell.

    Raises:
        DataError: no key, an unreadable workbook, or a file that cannot be written.
    """
    if not key:
        raise KeyMissingError(workbook)
    labels = read_labels(workbook, key)
    try:
        with replacing(output) as path:
            labels.to_parquet(path, index=False)
    except OSError as exc:
        raise OutputError(output, exc.strerror or type(exc).__name__) from exc
    return (
        f"Aba PEDE{labels['year'].iloc[0]}: {len(labels)} estudantes, "
        f"{labels['target'].mean():.0%} em defasagem\nGravado: {output}\n"
        f"Próximo passo: python -m monitoring.performance_report --labels {output}"
    )
