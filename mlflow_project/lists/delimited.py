"""The list as CSV for spreadsheets in Portuguese: semicolons, decimal commas, UTF-8 with a mark."""

import csv
from io import StringIO

from core.sheets import ScoredSheet
from core.tables.writing import harmless
from mlflow_project.lists.table import cells, header, label_names, lines


def write_csv(scored: ScoredSheet) -> bytes:
    """Return the children in order of risk; text that begins like a formula gets an apostrophe."""
    names = label_names(scored)
    file = StringIO(newline="")
    writer = csv.writer(file, delimiter=";")
    writer.writerow(map(shown, header(names)))
    for order, line in enumerate(lines(scored), 1):
        writer.writerow(map(shown, cells(order, line, names)))
    return file.getvalue().encode("utf-8-sig")


def shown(value: str | float) -> str:
    """Return a cell's text."""
    if isinstance(value, float):
        return f"{value:.4f}".replace(".", ",")
    return harmless(str(value))
