"""Fixture for hand-written workbooks."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest

Rows = list[Sequence[Any]]


@pytest.fixture
def save(tmp_path: Path) -> Callable[[Mapping[str, Rows]], Path]:
    """Return a function that writes sheets of rows as a workbook and returns its path."""

    def write(sheets: Mapping[str, Rows]) -> Path:
        workbook = openpyxl.Workbook()
        workbook.remove(workbook.active)
        for title, rows in sheets.items():
            sheet = workbook.create_sheet(title)
            for row in rows:
                sheet.append(list(row))
        path = tmp_path / "PEDE.xlsx"
        workbook.save(path)
        return path

    return write
