"""The list of children in order of risk: from a PEDE workbook to an Excel list.

The package is a sheet reader (`core.sheets.SheetReader`): with `SHEET_READER=mlflow_project.lists`
the proxy's page makes the list that `python -m mlflow_project.risk_list` writes.
"""

from mlflow_project.lists.workbook import write
from mlflow_project.pede import read_list as read

__all__ = ["read", "write"]
