"""One year's sheet as a frame: identify rows, read columns, complete what follows from the rest."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from mlflow_project.pede.cells import (
    ABOVE_TEN,
    Read,
    is_blank,
    read_gender,
    read_identity,
    read_number,
    read_phase,
    read_school,
    read_year,
)
from mlflow_project.pede.columns import (
    CONCEPTS,
    NEEDED,
    TITLES,
    Column,
    Concept,
    find_header,
    recognise,
)
from mlflow_project.pede.errors import ColumnError, SheetError
from mlflow_project.pede.features import BOUNDS, FEATURE_NAMES, GRADE_MAX, OLDEST, YOUNGEST
from mlflow_project.pede.reading_report import Action, Tally
from mlflow_project.pede.workbook import Sheet

COLUMNS: tuple[str, ...] = (
    "ra",
    "ano",
    *FEATURE_NAMES,
    "ano_nascimento",
    "genero",
    "instituicao",
    "inde",
)
"""Columns of the frame that `read_sheet` returns."""


def read_sheet(path: Path, sheet: Sheet, tally: Tally) -> pd.DataFrame:
    """Return the sheet's students, one row each, as `COLUMNS`; count every interpretation.

    Raises:
        ColumnError: a needed column is under none of its names.
        SheetError: no row has both an RA and a lag.
    """
    table = _Table.of(path, sheet, tally)
    rows_met = len(table.rows)
    ra, table = _identified(table)
    frame = pd.DataFrame({"ra": pd.array(ra, dtype="str"), "ano": sheet.year})
    for concept in CONCEPTS[1:]:
        frame[concept.name] = _column(table, concept)
    _complete(frame, table)
    kept = frame[frame["defasagem"].notna()].reset_index(drop=True)
    table.note("defasagem", "linha sem defasagem", "descartado", len(frame) - len(kept))
    if kept.empty:
        remedy = "Confira se é a aba certa e se RA e Defasagem estão preenchidos."
        raise SheetError(path, sheet.title, "nenhum estudante legível", remedy)
    tally.sheet(sheet.title, rows_met, len(kept))
    return kept[list(COLUMNS)]


@dataclass(frozen=True, slots=True)
class _Table:
    """The rows below a sheet's header, its recognised columns, and where notes go."""

    sheet: Sheet
    tally: Tally
    columns: dict[str, Column]
    rows: Sequence[tuple[Any, ...]]

    @classmethod
    def of(cls, path: Path, sheet: Sheet, tally: Tally) -> "_Table":
        """Find header and columns; raises ColumnError if a needed one is missing."""
        top = find_header(sheet.rows, sheet.year)
        rows = sheet.rows[top + 1 :]
        columns = recognise(sheet.rows[top], rows, sheet.year)
        for group in NEEDED:
            if not columns.keys() & set(group):
                headers = [header for name in group for header in TITLES[name]]
                wanted = " ou ".join(f"“{TITLES[name][0]}”" for name in group)
                raise ColumnError(path, sheet.title, wanted, headers)
        return cls(sheet, tally, columns, rows)

    def cells(self, index: int) -> list[Any]:
        """Return a column's cells; a row may be shorter than the header."""
        return [row[index] if index < len(row) else None for row in self.rows]

    def note(self, name: str, reason: str, action: Action, count: int) -> None:
        """Count under the column's own header, or its usual name where it has none."""
        column = self.columns.get(name)
        header = column.header if column else TITLES.get(name, (name,))[0]
        self.tally.add(self.sheet.title, header, reason, action, count)


def _identified(table: _Table) -> tuple[list[str], _Table]:
    """Keep the first row of each RA; a row without one cannot be followed into the next year."""
    first: dict[str, tuple[Any, ...]] = {}
    nameless = repeated = 0
    cells = table.cells(table.columns["ra"].index)
    for cell, row in zip(cells, table.rows, strict=True):
        ra = read_identity(cell)
        if ra is None:
            nameless += 1
        elif ra in first:
            repeated += 1
        else:
            first[ra] = row
    table.note("ra", "linha sem RA", "descartado", nameless)
    table.note("ra", "RA repetido: vale a primeira linha", "descartado", repeated)
    return list(first), replace(table, rows=list(first.values()))


def _column(table: _Table, concept: Concept) -> pd.Series:
    """Read one concept's cells; an absent column is all null."""
    text = concept.kind in ("gender", "school")
    column = table.columns.get(concept.name)
    values: list[Any] = [None] * len(table.rows)
    if column is None:
        table.note(concept.name, "coluna ausente", "ausente", len(values))
    else:
        cells = table.cells(column.index)
        if all(is_blank(cell) for cell in cells):
            table.note(concept.name, "coluna vazia", "ausente", len(values))
        for index in column.repeated:
            filled = sum(not is_blank(cell) for cell in table.cells(index))
            table.note(concept.name, "coluna repetida: vale uma só", "descartado", filled)
        for row, cell in enumerate(cells):
            value, note = _read(concept, cell, table.sheet)
            values[row] = value
            if note:
                table.note(concept.name, *note, 1)
    return pd.Series(values, dtype="object" if text else "float64")


def _read(concept: Concept, cell: Any, sheet: Sheet) -> Read:
    """Read one cell by its concept's kind and refuse what lies outside the concept's range."""
    if concept.kind == "gender":
        return read_gender(cell)
    if concept.kind == "school":
        return read_school(cell)
    value, note = _NUMERIC[concept.kind](cell, sheet.epoch)
    if value is None:
        return None, note
    low, high = _bounds(concept.name, sheet.year)
    if not low <= value <= high:
        return None, (f"fora do intervalo {low:g} a {high:g}", "descartado")
    if high == GRADE_MAX and value > 10:
        return value, ABOVE_TEN
    return value, note


_NUMERIC = {
    "number": read_number,
    "phase": read_phase,
    "year": read_year,
}


def _bounds(name: str, year: int) -> tuple[float, float]:
    if name == "ano_nascimento":
        return year - OLDEST, year - YOUNGEST
    if name == "ano_ingresso":
        return year - OLDEST, year
    return BOUNDS.get(name, (0.0, GRADE_MAX))


def _complete(frame: pd.DataFrame, table: _Table) -> None:
    """Fill, in place, what follows from other columns of the same year; count contradictions."""
    phase, ideal, lag = frame["fase"], frame["fase_ideal"], frame["defasagem"]
    _fill(frame, table, "defasagem", phase - ideal, "calculada: fase − fase ideal")
    _fill(frame, table, "fase_ideal", phase - lag, "calculada: fase − defasagem")
    _fill(frame, table, "fase", ideal + lag, "calculada: fase ideal + defasagem")
    differs = (frame["fase"] - frame["fase_ideal"] - frame["defasagem"]).abs() > 0
    table.note("defasagem", "difere de fase − fase ideal", "mantido", int(differs.sum()))

    reached = frame["ano"] - frame["ano_nascimento"]
    _fill(frame, table, "idade", reached, "calculada: ano − ano de nascimento")
    # Before the birthday a child is one year younger than the difference of the years.
    differs = (reached - frame["idade"]).sub(0.5).abs() > 0.5
    table.note("idade", "não condiz com o nascimento", "mantido", int(differs.sum()))
    frame["anos_no_programa"] = frame["ano"] - frame["ano_ingresso"]


def _fill(frame: pd.DataFrame, table: _Table, name: str, values: pd.Series, reason: str) -> None:
    low, high = BOUNDS[name]
    missing = frame[name].isna() & values.between(low, high)
    frame[name] = frame[name].where(~missing, values)
    table.note(name, reason, "convertido", int(missing.sum()))
