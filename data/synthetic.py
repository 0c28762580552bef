"""A synthetic PEDE workbook: invented students, the real workbook's layout and its mess.

`python -m data.synthetic --students 1200 --seed 7 --output data/raw/pede_synthetic.xlsx` gives
newcomers and tests something to train on that is about as hard as the real thing.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
from openpyxl.cell import WriteOnlyCell
from openpyxl.worksheet._write_only import WriteOnlyWorksheet

from core.files.whole import replacing
from data.layout import lay_out
from data.simulation import simulate

DEFAULT_OUTPUT = Path("data/raw/pede_synthetic.xlsx")
_DATE_FORMAT = "mm-dd-yy"


def generate_workbook(students: int, seed: int) -> dict[str, pd.DataFrame]:
    """Return the sheets by title for that many distinct students over 2022, 2023 and 2024.

    Cells are Python values of dtype object, None for an empty cell, and headers may repeat. The
    same arguments give the same cells.

    Raises:
        ValueError: fewer than one student.
    """
    if students < 1:
        raise ValueError("--students: é preciso ao menos 1 estudante")
    rng = np.random.default_rng(seed)
    traits, years = simulate(students, rng)
    return lay_out(traits, years, rng.permutation(students) + 1, rng)


def write_workbook(sheets: Mapping[str, pd.DataFrame], path: Path) -> None:
    """Write the sheets as .xlsx; the file appears whole or not at all."""
    workbook = openpyxl.Workbook(write_only=True)
    for title, frame in sheets.items():
        sheet = workbook.create_sheet(title)
        sheet.append(list(frame.columns))
        for row in frame.itertuples(index=False, name=None):
            sheet.append(list(_cells(sheet, row)))
    with replacing(path) as temporary:
        workbook.save(temporary)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0, or 2 where the workbook cannot be made."""
    options = _parser().parse_args(arguments)
    try:
        sheets = generate_workbook(options.students, options.seed)
        write_workbook(sheets, options.output)
    except (ValueError, OSError) as exc:
        sys.stderr.write(f"erro: {exc}\n")
        return 2
    rows = ", ".join(f"{title}: {len(frame)} linhas" for title, frame in sheets.items())
    sys.stdout.write(f"Planilha fictícia gravada em {options.output} ({rows})\n")
    return 0


def _cells(sheet: WriteOnlyWorksheet, row: Sequence[Any]) -> Iterator[Any]:
    """Give dates the real sheets' format; everything else goes as it is."""
    for value in row:
        if isinstance(value, datetime):
            cell = WriteOnlyCell(sheet, value)
            cell.number_format = _DATE_FORMAT
            yield cell
        else:
            yield value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m data.synthetic",
        description="Gera uma planilha PEDE fictícia, com o formato e a desordem da verdadeira. "
        "A mesma semente gera as mesmas células.",
    )
    parser.add_argument(
        "--students", type=int, default=1200, help="estudantes nos três anos (padrão: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=7, help="semente (padrão: %(default)s)")
    parser.add_argument(
        "--output", type=Path, default=DEFAULT_OUTPUT, help="planilha .xlsx (padrão: %(default)s)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
