"""Synthetic PEDE workbook: invented students, with the real workbook's layout and faults.

`python -m data.synthetic --students 1200 --seed 7 --output data/raw/pede_synthetic.xlsx` writes
training data for newcomers and tests, about as hard to predict as the real data.
"""

import argparse
import re
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

from core.cli import arguments
from core.errors import ProjectError
from core.files.whole import replacing
from core.messages import _, ngettext
from core.messages.system import system_reason
from data.layout import lay_out
from data.simulation import simulate
from data.students import FIRST, LATEST, newcomers

DEFAULT_OUTPUT = Path("data/raw/pede_synthetic.xlsx")
_DATE_FORMAT = "mm-dd-yy"


class SyntheticError(ProjectError):
    """The workbook cannot be made as requested."""

    code = "synthetic"
    exit_code = 2


def generate_workbook(
    students: int, seed: int, years: Sequence[int] = range(FIRST, LATEST + 1)
) -> dict[str, pd.DataFrame]:
    """Return the sheets by title for `students` distinct students over 2022, 2023 and 2024.

    In each later year about a quarter as many enter. Cells are Python values of dtype object, None
    for an empty cell, and headers may repeat. The same students and seed give the same cells in
    each year, whatever the other years: one more year continues the same workbook.

    Raises:
        SyntheticError: fewer than one student, or a year before 2022.
    """
    if students < 1:
        raise SyntheticError(reason=_("--students: at least 1 student is needed"))
    if not years or min(years) < FIRST:
        reason = _("--years: {first} or later, for example 2022-2025", first=FIRST)
        raise SyntheticError(reason=reason)
    rng = np.random.default_rng(seed)
    last = max(LATEST, *years)
    streams = dict.fromkeys(range(FIRST, LATEST + 1), rng)
    streams |= {year: np.random.default_rng([seed, year]) for year in range(LATEST + 1, last + 1)}
    traits, simulated = simulate(students, last, streams)
    numbers = rng.permutation(students) + 1
    for year in range(LATEST + 1, last + 1):
        entered = streams[year].permutation(newcomers(students))
        numbers = np.append(numbers, entered + len(numbers) + 1)
    sheets = lay_out(traits, simulated, numbers, streams)
    left_out = {f"PEDE{year}" for year in simulated} - {f"PEDE{year}" for year in years}
    return {title: frame for title, frame in sheets.items() if title not in left_out}


def write_workbook(sheets: Mapping[str, pd.DataFrame], path: Path) -> None:
    """Write the sheets as .xlsx, by an atomic rename."""
    # The file first: an openpyxl workbook that is never saved warns when it is collected.
    with replacing(path) as temporary:
        workbook = openpyxl.Workbook(write_only=True)
        for title, frame in sheets.items():
            sheet = workbook.create_sheet(title)
            sheet.append(list(frame.columns))
            for row in frame.itertuples(index=False, name=None):
                sheet.append(list(_cells(sheet, row)))
        workbook.save(temporary)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0, or 2 where the workbook cannot be made."""
    options = _parser().parse_args(argv)

    def work() -> None:
        sheets = generate_workbook(options.students, options.seed, options.years)
        try:
            write_workbook(sheets, options.output)
        except OSError as exc:
            raise SyntheticError(reason=f"{options.output}: {system_reason(exc)}") from exc
        rows = ", ".join(
            ngettext("{title}: {n} row", "{title}: {n} rows", len(frame), title=title)
            for title, frame in sheets.items()
        )
        written = _("Invented workbook written to {path} ({rows})", path=options.output, rows=rows)
        arguments.say(written)

    return arguments.run_command(work)


def years(text: str) -> range:
    """Parse `2022-2025`, or one year (an argparse type)."""
    found = re.fullmatch(r"(20\d\d)(?:-(20\d\d))?", text)
    if not found or int(found[2] or found[1]) < int(found[1]):
        raise argparse.ArgumentTypeError(_("consecutive years, for example 2022-2025"))
    return range(int(found[1]), int(found[2] or found[1]) + 1)


def _cells(sheet: WriteOnlyWorksheet, row: Sequence[Any]) -> Iterator[Any]:
    """Yield the cells, dates with the number format of the real sheets."""
    for value in row:
        if isinstance(value, datetime):
            cell = WriteOnlyCell(sheet, value)
            cell.number_format = _DATE_FORMAT
            yield cell
        else:
            yield value


def _parser() -> arguments.Parser:
    text = _(
        "Makes an invented PEDE workbook with the format and the mess of the real one. The same "
        "seed makes the same cells; one year more continues the same students."
    )
    parser = arguments.parser("data.synthetic", text)
    parser.add_argument(
        "--students",
        type=int,
        default=1200,
        help=_("students from 2022 to 2024; later years add newcomers (default: %(default)s)"),
    )
    parser.add_argument(
        "--years",
        type=years,
        default="2022-2024",
        help=_("years of the sheets, from 2022 on (default: %(default)s)"),
    )
    parser.add_argument("--seed", type=int, default=7, help=_("seed (default: %(default)s)"))
    parser.add_argument(
        "--output", type=Path, default=DEFAULT_OUTPUT, help=_(".xlsx file (default: %(default)s)")
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
