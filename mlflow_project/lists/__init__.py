"""The list of children in order of risk: a PEDE workbook in, a workbook for people out.

It is a reader of workbooks (`core.sheets.SheetReader`): by `SHEET_READER=mlflow_project.lists` the
proxy's page makes the list that `python -m mlflow_project.risk_list` writes.
"""

from mlflow_project.lists.workbook import write
from mlflow_project.pede import read_list as read

__all__ = ["read", "write"]
