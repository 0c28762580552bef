"""One year's sheet as a frame: identify rows, read columns, derive missing values."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from core.messages import N_, _
from core.sheets import Unscored
from mlflow_project.pede.ages import days_of_birth, decimal_ages, explain_ages
from mlflow_project.pede.archive import UNSTORED
from mlflow_project.pede.cells import (
    ABOVE_TEN,
    NO_STORED_VALUE,
    Read,
    is_blank,
    is_summary,
    read_gender,
    read_identity,
    read_number,
    read_phase,
    read_school,
    read_text,
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
from mlflow_project.pede.contradictions import age_contradicts, lag_contradicts, refuse_mixed_up
from mlflow_project.pede.errors import MissingColumnError, YearSheetError
from mlflow_project.pede.features import BOUNDS, FEATURE_NAMES, GRADE_MAX, INPUTS, OLDEST, YOUNGEST
from mlflow_project.pede.reading_report import Note, ReadingReport, SheetCount
from mlflow_project.pede.workbook import YearSheet

_OTHERS = ("ano_nascimento", "dia_nascimento", "genero", "instituicao", "inde")
COLUMNS: tuple[str, ...] = tuple(dict.fromkeys(("ra", "ano", *FEATURE_NAMES, *_OTHERS)))
"""Columns of the frame of a sheet's students; `dia_nascimento` is a share of the year."""

LABELS = ("ra", "nome", "turma", "fase")
"""Concepts that a list of children shows as written in the sheet."""

NO_RA = Note(N_("row without RA"), "dropped")
SUMMARY = Note(N_("summary row (“Total”, “Média”), no student"), "dropped")
REPEATED_RA = Note(N_("repeated RA: the first row counts"), "dropped")
NO_LAG = Note(N_("row without lag"), "dropped")
REPEATED = Note(N_("repeated column: only one counts"), "dropped")
NO_COLUMN = Note(N_("column absent"), "absent")
NO_CELL = Note(N_("column empty"), "absent")
OUT_OF_RANGE = Note(N_("outside the range {low} to {high}"), "dropped")
LAG_COMPUTED = Note(N_("computed: phase − ideal phase"), "converted")
IDEAL_COMPUTED = Note(N_("computed: phase − lag"), "converted")
PHASE_COMPUTED = Note(N_("computed: ideal phase + lag"), "converted")
AGE_COMPUTED = Note(N_("computed: year − year of birth"), "converted")
LAG_DIFFERS = Note(N_("differs from phase − ideal phase"), "kept")
AGE_DIFFERS = Note(N_("does not fit the birth"), "kept")
DAY_CONTRADICTS = Note(N_("day and month do not explain the ages: only the year counts"), "dropped")
NO_STUDENT = N_(
    "{source}, sheet {sheet}: no readable student. Check that it is the right sheet and that RA "
    "and Defasagem are filled in."
)


@dataclass(frozen=True, slots=True)
class Students:
    """A sheet's students, one row each: `frame` has `COLUMNS`, `labels` identify each row."""

    frame: pd.DataFrame
    labels: list[dict[str, str]]
    left_out: list[Unscored]


def read_students(sheet: YearSheet, report: ReadingReport) -> Students:
    """Return the sheet's students; count every interpretation.

    `idade` is the age on 30 June with decimals (`ages`): the sheet of 2022 states the age that a
    child reaches in the year, later ones that on some day of it.

    Raises:
        MissingColumnError: a required column is under none of its known headers.
        ContradictionError: columns contradict each other in too many rows.
        YearSheetError: no row has both an RA and a lag.
    """
    table = _SheetTable.of(sheet, report)
    rows_met = len(table.rows)
    ra, table, left_out = _identified(table)
    frame = pd.DataFrame({"ra": pd.array(ra, dtype="str"), "ano": sheet.year})
    for concept in CONCEPTS[1:]:
        if concept.kind != "text":
            frame[concept.name] = _column(table, concept)
    headers = {concept.name: table.header(concept.name) for concept in CONCEPTS}
    refuse_mixed_up(frame, sheet.source, sheet.title, headers)
    _complete(frame, table)
    known = frame["defasagem"].notna().to_numpy()
    table.note("defasagem", NO_LAG, int((~known).sum()))
    if not known.any():
        raise YearSheetError(NO_STUDENT, source=sheet.source, sheet=sheet.title)
    report.sheets.append(SheetCount(sheet.title, rows_met, int(known.sum())))
    labels = table.labels()
    left_out += [Unscored(labels[i], NO_LAG.text()) for i in (~known).nonzero()[0]]
    kept = frame.loc[known, list(COLUMNS)].reset_index(drop=True)
    return Students(kept, [labels[i] for i in known.nonzero()[0]], left_out)


@dataclass(frozen=True, slots=True)
class _SheetTable:
    """The rows below a sheet's header, its recognised columns, and the report for notes."""

    sheet: YearSheet
    report: ReadingReport
    columns: dict[str, Column]
    rows: Sequence[tuple[Any, ...]]

    @classmethod
    def of(cls, sheet: YearSheet, report: ReadingReport) -> "_SheetTable":
        """Find header and columns; raises MissingColumnError if a needed one is missing."""
        top = find_header(sheet.rows, sheet.year)
        rows = sheet.rows[top + 1 :]
        columns = recognise(sheet.rows[top], rows, sheet.year)
        for group in NEEDED:
            if not columns.keys() & set(group):
                accepted = ", ".join(f"“{header}”" for name in group for header in TITLES[name])
                wanted = _(" or ").join(f"“{TITLES[name][0]}”" for name in group)
                raise MissingColumnError(
                    source=sheet.source, sheet=sheet.title, column=wanted, accepted=accepted
                )
        return cls(sheet, report, columns, rows)

    def cells(self, name: str) -> list[Any]:
        """Return a concept's cells, all None without its column."""
        column = self.columns.get(name)
        return self.cells_at(column.index) if column else [None] * len(self.rows)

    def cells_at(self, index: int) -> list[Any]:
        """Return the cells at an index; a row may be shorter than the header."""
        return [row[index] if index < len(row) else None for row in self.rows]

    def header(self, name: str) -> str:
        """Return a concept's own header, or its usual name where it has none."""
        column = self.columns.get(name)
        return column.header if column else TITLES.get(name, (name,))[0]

    def note(self, name: str, note: Note, count: int = 1) -> None:
        """Count a note under the column's header."""
        self.report.add(self.sheet.title, self.header(name), note, count)

    def labels(self) -> list[dict[str, str]]:
        """Return each row's identifying texts as written, under the columns' usual names."""
        titles = [TITLES[name][0] for name in LABELS]
        texts = zip(*(map(read_text, self.cells(name)) for name in LABELS), strict=True)
        return [dict(zip(titles, row, strict=True)) for row in texts]


def _identified(table: _SheetTable) -> tuple[list[str], _SheetTable, list[Unscored]]:
    """Keep the first row of each RA; a row without RA cannot be matched with the next year."""
    first: dict[str, tuple[Any, ...]] = {}
    left_out: list[Unscored] = []
    for cell, row, labels in zip(table.cells("ra"), table.rows, table.labels(), strict=True):
        ra, note = read_identity(cell)
        if note:
            table.note("ra", note)
        summary = ra is not None and is_summary(ra)
        reason = NO_RA if ra is None else SUMMARY if summary else REPEATED_RA
        if ra is None or summary or ra in first:
            table.note("ra", reason)
            if not summary:
                left_out.append(Unscored(labels, reason.text()))
        else:
            first[ra] = row
    return list(first), replace(table, rows=list(first.values())), left_out


def _column(table: _SheetTable, concept: Concept) -> pd.Series:
    """Read one concept's cells; an absent column is all null."""
    name, column, cells = concept.name, table.columns.get(concept.name), table.cells(concept.name)
    if column is None:
        table.note(name, NO_COLUMN, len(cells))
    elif all(is_blank(cell) for cell in cells):
        table.note(name, NO_CELL, len(cells))
    for index in column.repeated if column else ():
        table.note(name, REPEATED, sum(not is_blank(cell) for cell in table.cells_at(index)))
    values: list[Any] = []
    for cell in cells:
        value, note = _read(concept, cell, table.sheet)
        values.append(value)
        if note:
            table.note(name, note)
    return pd.Series(values, dtype="object" if concept.kind in _CATEGORIES else "float64")


_CATEGORIES = {"gender": read_gender, "school": read_school}
_NUMBERS = {"number": read_number, "phase": read_phase, "year": read_year}


def _read(concept: Concept, cell: Any, sheet: YearSheet) -> Read:
    """Read one cell by its concept's kind and refuse what lies outside the concept's range."""
    if cell == UNSTORED:
        return None, NO_STORED_VALUE
    if concept.kind in _CATEGORIES:
        return _CATEGORIES[concept.kind](cell)
    value, note = _NUMBERS[concept.kind](cell, sheet.epoch)
    if value is None:
        return None, note
    low, high = _bounds(concept.name, sheet.year)
    if not low <= value <= high:
        return None, OUT_OF_RANGE._replace(bounds=(low, high))
    if high == GRADE_MAX and value > 10:
        return value, ABOVE_TEN
    return value, note


def _bounds(name: str, year: int) -> tuple[float, float]:
    if name == "ano_nascimento":
        return year - OLDEST, year - YOUNGEST
    if name == "ano_ingresso":
        return year - OLDEST, year
    return BOUNDS.get(name, (0.0, GRADE_MAX))


def _complete(frame: pd.DataFrame, table: _SheetTable) -> None:
    """Derive missing values from other columns of the year, in place; count contradictions."""
    phase, ideal, lag = frame["fase"], frame["fase_ideal"], frame["defasagem"]
    _fill(frame, table, "defasagem", phase - ideal, LAG_COMPUTED)
    _fill(frame, table, "fase_ideal", phase - lag, IDEAL_COMPUTED)
    _fill(frame, table, "fase", ideal + lag, PHASE_COMPUTED)
    table.note("defasagem", LAG_DIFFERS, int(lag_contradicts(frame).sum()))

    reached = frame["ano"] - frame["ano_nascimento"]
    _fill(frame, table, "idade", reached, AGE_COMPUTED)
    table.note("idade", AGE_DIFFERS, int(age_contradicts(frame).sum()))
    frame["dia_nascimento"] = _days_of_birth(table, reached - frame["idade"])
    frame["idade"] = decimal_ages(frame, frame["dia_nascimento"])
    for row in INPUTS:
        if row.computed:
            frame[row.feature.name] = row.computed(frame)


def _days_of_birth(table: _SheetTable, years_below: pd.Series) -> np.ndarray:
    """Return days of birth, all unknown where they contradict the ages of the same sheet."""
    born = days_of_birth(table.cells("ano_nascimento"))
    known = int(np.isfinite(born).sum())
    if known and not explain_ages(born, years_below.to_numpy()):
        table.note("ano_nascimento", DAY_CONTRADICTS, known)
        return np.full(len(born), np.nan)
    return born


def _fill(
    frame: pd.DataFrame, table: _SheetTable, name: str, values: pd.Series, note: Note
) -> None:
    low, high = BOUNDS[name]
    missing = frame[name].isna() & values.between(low, high)
    frame[name] = frame[name].where(~missing, values)
    table.note(name, note, int(missing.sum()))
