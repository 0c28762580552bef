"""Layout of simulated years as the programme's sheets: their columns and data-quality faults.

Headers, spellings and cell types follow the real workbook year by year: phases as `7`, `FASE 1`
and `1A`, ages typed into date cells, text dates, formula errors, `INCLUIR` among numbers, empty and
duplicate columns. Made from the sheets, not from the reader's code, so that each tests the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from data.headers import headers
from data.spelling import (
    DIVISION_BY_ZERO,
    IDEAL,
    IDEAL_2022,
    NOT_AVAILABLE,
    births,
    cells_of,
    class_2024,
    ideal_label,
    names_of,
    school_labels,
    stones,
)
from data.students import LATEST, Column, Traits, Year

_DATE_AGES = 0.4
"""Share of the 2023 rows whose age is in a cell formatted as a date."""
_MEASURED = ("iaa", "ieg", "ips", "ipp", "ida", "ipv", "mat", "por", "ing")
_DIGITS = {2022: 1, 2023: 2, 2024: 9}
"""Decimals in each year's sheet."""


@dataclass(frozen=True, slots=True)
class _Year:
    """Input of a year's sheet; `inde` holds by year, up to this one, each student's INDE."""

    number: int
    traits: Traits
    values: Mapping[str, Column]
    ra: Sequence[str]
    inde: Mapping[int, Column]
    rng: np.random.Generator

    @property
    def student(self) -> Column:
        """Return the indices into the traits of the students present."""
        return self.values["student"]


def lay_out(
    traits: Traits,
    years: Mapping[int, Year],
    numbers: Column,
    streams: Mapping[int, np.random.Generator],
) -> dict[str, pd.DataFrame]:
    """Return the sheets by title, cells as Python values and None.

    `numbers` holds the number of each student's RA, `streams` the random generator of each year.
    Rows are in random order. Every frame has dtype object, and header names may repeat.
    """
    sheets: dict[str, pd.DataFrame] = {}
    inde: dict[int, Column] = {}
    for number, observed in years.items():
        rng = streams[number]
        values = _evaluated(number, observed, rng)
        inde[number] = np.full(len(numbers), np.nan)
        inde[number][values["student"]] = _inde(values)
        ra = [f"RA-{n}" for n in numbers[values["student"]]]
        year = _Year(number, traits, values, ra, inde, rng)
        sheets[f"PEDE{number}"] = _frame(year, _common(year) | _SPECIFIC[min(number, LATEST)](year))
    sheets["dicionario"] = _dictionary()
    return sheets


def _frame(year: _Year, cells: Mapping[str, list[Any]]) -> pd.DataFrame:
    """Return the columns in the sheet's order and the rows shuffled; a missing column is empty."""
    titles, size = headers(year.number), len(year.ra)
    rows = list(zip(*(cells.get(title, [None] * size) for title in titles), strict=True))
    frame = pd.DataFrame([rows[i] for i in year.rng.permutation(size)], dtype="object")
    frame.columns = pd.Index(titles)
    return frame


def _evaluated(number: int, year: Year, rng: np.random.Generator) -> dict[str, Column]:
    """Round as the sheet does, and blank what the programme did not evaluate.

    That is IPP in 2022; from 2023 on the indicators of phases 8 and 9, and in 2023 most of those of
    about half of phase 7. Add `defasagem`, the lag, and `ian`, its indicator.
    """
    values = {name: np.asarray(column).copy() for name, column in year.items()}
    if number == 2022:
        values["ipp"] = np.full(len(values["fase"]), np.nan)
    else:
        away = values["fase"] >= 8
        half = away | ((values["fase"] == 7) & (number == 2023) & (rng.random(len(away)) < 0.56))
        for name in _MEASURED:
            values[name] = np.where(away if name in ("iaa", "ips") else half, np.nan, values[name])
    if number >= 2024:
        values["ieg"] = np.where(away, 0.0, values["ieg"])
    for name in _MEASURED:
        digits = 3 if name in ("ips", "iaa") else _DIGITS[min(number, LATEST)]
        values[name] = np.round(values[name].astype(float), digits)
    lag = values["fase"] - values["fase_ideal"]
    return values | {"defasagem": lag, "ian": np.select([lag >= 0, lag >= -2], [10, 5], 2.5)}


def _notes(values: Mapping[str, Column], blank: str | None = None, **names: str) -> dict[str, Any]:
    """Return the columns of grades by title, `blank` where there is none."""
    return {title: cells_of(values[name], blank) for title, name in names.items()}


def _common(year: _Year) -> dict[str, list[Any]]:
    """Return the columns that all sheets spell alike."""
    values, student, rng, size = year.values, year.student, year.rng, len(year.ra)
    cells: dict[str, list[Any]] = {
        "RA": list(year.ra),
        "Ano ingresso": year.traits.joined[student].tolist(),
        "Nº Av": rng.choice([2, 3, 4], size, p=[0.27, 0.40, 0.33]).tolist(),
        **_notes(values, IAA="iaa", IEG="ieg", IAN="ian"),
    }
    for judge in range(1, 4):
        chosen = rng.integers(1, 32, size)
        cells[f"Avaliador{judge}"] = [f"Avaliador-{n}" for n in chosen]
    for then in (2020, 2021):
        was = rng.normal(7.2, 1.0, size)
        was[year.traits.joined[student] > then] = np.nan
        cells[f"Pedra {then % 100}"] = stones(was)
    for then, inde in year.inde.items():
        cells[f"Pedra {then % 100}"] = stones(inde[student])
        cells[f"INDE {then % 100}"] = cells_of(np.round(inde[student], 3))
    if year.number > 2022:  # later sheets leave the short name of their own year empty
        del cells[f"Pedra {year.number % 100}"], cells[f"INDE {year.number % 100}"]
    return cells


def _sheet_2022(year: _Year) -> dict[str, list[Any]]:
    """Return 2022's columns: phases as text digits, birth years, verdicts in words; no IPP."""
    values, student, rng, size = year.values, year.student, year.rng, len(year.ra)
    rank = np.argsort(np.argsort(-year.inde[2022][student])) + 1
    judged = ["Mantido na Fase atual", "Promovido de Fase", "Promovido de Fase + Bolsa"]
    verdict = {
        f"Rec Av{n}": rng.choice(judged, size, p=[0.55, 0.32, 0.13]).tolist() for n in range(1, 4)
    }
    praise = np.where(rng.random(size) < 0.5, "Destaque: bom resultado.", "Melhorar: mais empenho.")
    return {
        "Fase": [str(phase) for phase in values["fase"]],
        "Turma": [str(letter) for letter in rng.choice(list("ABDFGKLU"), size)],
        "Nome": names_of(year.ra),
        "Ano nasc": year.traits.birth_year[student].tolist(),
        "Idade 22": values["idade"].tolist(),
        "Gênero": np.where(year.traits.female[student], "Menina", "Menino").tolist(),
        "Instituição de ensino": np.where(
            year.traits.private[student], "Rede Decisão", "Escola Pública"
        ).tolist(),
        "Cg": rank.tolist(),
        "Cf": (rank // 4 + 1).tolist(),
        "Ct": (rank % 17 + 1).tolist(),
        **_notes(values, IPS="ips", IDA="ida", IPV="ipv"),
        **_notes(values, Matem="mat", Portug="por", Inglês="ing"),
        "Rec Psicologia": rng.choice(["Não atendido", "Sem limitações"], size).tolist(),
        "Indicado": np.where(rng.random(size) < 0.16, "Sim", "Não").tolist(),
        "Atingiu PV": np.where(rng.random(size) < 0.13, "Sim", "Não").tolist(),
        "Fase ideal": [ideal_label(phase, IDEAL_2022, "º") for phase in values["fase_ideal"]],
        "Defas": values["defasagem"].tolist(),
        **verdict,
        **{f"Destaque {name}": praise.tolist() for name in ("IEG", "IDA", "IPV")},
    }


def _sheet_2023(year: _Year) -> dict[str, list[Any]]:
    """Return 2023's columns: phases in words; part of the ages as dates, other births as text."""
    values, student, rng = year.values, year.student, year.rng
    born = births(year.traits, student)
    dated = rng.random(len(student)) < _DATE_AGES
    day_zero = datetime(1899, 12, 31)
    pairs = list(zip(values["idade"].tolist(), born, dated, strict=True))
    phases = ["ALFA" if phase == 0 else f"FASE {phase}" for phase in values["fase"]]
    return _later(year) | {
        "Fase": phases,
        "Turma": [f"{phase} {rng.choice(list('ABCDE'))}" for phase in phases],
        "Data de Nasc": [b if d else f"{b.month}/{b.day}/{b.year}" for _, b, d in pairs],
        "Idade": [day_zero + timedelta(days=age) if d else age for age, _, d in pairs],
        "IDA": cells_of(values["ida"]),
    }


def _sheet_2024(year: _Year) -> dict[str, list[Any]]:
    """Return the columns of 2024 and of later years.

    Phases are classes, `9` for graduates, whose index is INCLUIR; years of entry start at 2021.
    """
    values, student, rng, phase = year.values, year.student, year.rng, year.values["fase"]
    letters = rng.choice(list("ABCDEFGHKLMN"), len(student))
    classes = [class_2024(p, letter) for p, letter in zip(phase.tolist(), letters, strict=True)]
    later = _later(year)
    for header in (f"INDE {year.number}", f"Pedra {year.number}"):
        marked = zip(phase, later[header], strict=True)
        later[header] = [
            "INCLUIR" if p == 9 else DIVISION_BY_ZERO if c == NOT_AVAILABLE else c
            for p, c in marked
        ]
    return later | {
        "Fase": classes,
        "Turma": classes,
        "Data de Nasc": births(year.traits, student),
        "Idade": values["idade"].tolist(),
        "IDA": cells_of(values["ida"], DIVISION_BY_ZERO),
        "Ano ingresso": np.maximum(year.traits.joined[student], 2021).tolist(),
        "Escola": [f"Escola-{n}" for n in rng.integers(1, 55, len(student))],
        "Ativo/ Inativo": ["Cursando"] * len(student),
    }


_SPECIFIC = {2022: _sheet_2022, 2023: _sheet_2023, 2024: _sheet_2024}


def _later(year: _Year) -> dict[str, list[Any]]:
    """Return the columns that the sheets from 2023 on have in common and 2022 lacks."""
    values, student, number = year.values, year.student, year.number
    inde = year.inde[number][student]
    return {
        "Nome Anonimizado": names_of(year.ra),
        f"INDE {number}": cells_of(np.round(inde, 4), NOT_AVAILABLE),
        f"Pedra {number}": [
            NOT_AVAILABLE if s is None else s.replace("Á", "A") for s in stones(inde)
        ],
        "Gênero": np.where(year.traits.female[student], "Feminino", "Masculino").tolist(),
        "Instituição de ensino": school_labels(year.traits.private[student], values["fase"]),
        **_notes(values, NOT_AVAILABLE, IPS="ips", IPP="ipp", IPV="ipv"),
        **_notes(values, Mat="mat", Por="por", Ing="ing"),
        "Fase Ideal": [ideal_label(phase, IDEAL, "°") for phase in values["fase_ideal"]],
        "Defasagem": values["defasagem"].tolist(),
    }


def _inde(values: Mapping[str, Column]) -> Column:
    """Return INDE: 0.1 of IAN, IAA, IPS, IPP and 0.2 of IDA, IEG, IPV; without IPP, over 0.9."""
    tenths = values["ian"] + values["iaa"] + values["ips"]
    fifths = values["ida"] + values["ieg"] + values["ipv"]
    with_ipp = 0.1 * (tenths + values["ipp"]) + 0.2 * fifths
    return np.where(np.isnan(values["ipp"]), (0.1 * tenths + 0.2 * fifths) / 0.9, with_ipp)


def _dictionary() -> pd.DataFrame:
    rows = [
        ("RA", "Registro do aluno (fictício)"),
        ("Fase", "Nível de aprendizado no programa; ALFA é o primeiro"),
        ("Fase ideal", "Nível esperado para a idade e o ano escolar"),
        ("Defasagem", "Fase menos fase ideal"),
        ("INDE", "Índice do desenvolvimento educacional"),
        ("IAA, IEG, IPS, IPP, IDA, IPV, IAN", "Indicadores de 0 a 10"),
    ]
    return pd.DataFrame(rows, columns=["Métricas e Conceitos:", None], dtype="object")
