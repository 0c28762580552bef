"""Spellings of the sheets: stones, schools, ideal phases, classes, error values for blanks."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from data.students import Column, Traits

NOT_AVAILABLE = "#N/A"
DIVISION_BY_ZERO = "#DIV/0!"
_STONES = ("Quartzo", "Ágata", "Ametista", "Topázio")
_STONE_EDGES = np.array([5.506, 6.868, 8.230])
IDEAL_2022 = ("ALFA  (2º e 3º ano)", "Fase 1 (4º ano)")
IDEAL = ("ALFA (1° e 2° ano)", "Fase 1 (3° e 4° ano)")
_IDEAL_LATER = ("5{o} e 6{o} ano", "7{o} e 8{o} ano", "9{o} ano", "1{o} EM", "2{o} EM", "3{o} EM")


def cells_of(values: Column, blank: str | None = None) -> list[Any]:
    """Return cells of numbers, `blank` in place of NaN."""
    return [blank if value != value else value for value in values.tolist()]  # NaN != NaN


def stones(inde: Column) -> list[str | None]:
    """Return the stone that the programme gives for each index (INDE)."""
    places = np.digitize(np.nan_to_num(inde), _STONE_EDGES).tolist()
    return [None if v != v else _STONES[i] for v, i in zip(inde.tolist(), places, strict=True)]


def names_of(ra: Sequence[str]) -> list[str]:
    """Return the names of RAs; both are invented."""
    return [identity.replace("RA-", "Aluno-") for identity in ra]


def ideal_label(phase: int, first: tuple[str, str], ordinal: str) -> str:
    """Return a phase with its school years; `ordinal` is the ordinal sign of the year's sheet."""
    if phase < 2:
        return first[phase]
    if phase == 8:
        return "Fase 8 (Universitários)"
    return f"Fase {phase} ({_IDEAL_LATER[phase - 2].format(o=ordinal)})"


def class_2024(phase: int, letter: str) -> str | int:
    """Return phase and class as one value, as in the sheet of 2024."""
    if phase in (0, 9):
        return "ALFA" if phase == 0 else 9
    return f"{phase}{letter}"


def school_labels(private: Column, phase: Column) -> list[str]:
    """Return the kind of school as spelled in 2023 and 2024."""
    usual = np.where(private, "Privada - Programa de Apadrinhamento", "Pública")
    usual = np.where(phase == 8, "Privada *Parcerias com Bolsa 100%", usual)
    return np.where(phase == 9, "Bolsista Universitário *Formado (a)", usual).tolist()


def births(traits: Traits, student: Column) -> list[datetime]:
    """Return dates of birth."""
    days = zip(traits.birth_year[student], traits.birth_day[student], strict=True)
    return [datetime(int(year), 1, 1) + timedelta(days=int(day) - 1) for year, day in days]
