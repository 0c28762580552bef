"""Map the columns of a yearly sheet to concepts, by headers that change from year to year."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlflow_project.pede.features import FEATURE_NAMES, INPUTS, Kind, once


@dataclass(frozen=True, slots=True)
class Concept:
    """A column's meaning: how its cells are read, and the headers that name it.

    `headers[0]` is its usual name, used in messages.
    """

    name: str
    kind: Kind
    headers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A concept's column: its index and header, and the indices of its repetitions."""

    index: int
    header: str
    repeated: tuple[int, ...] = ()


_OTHERS = (
    Concept(
        "ano_nascimento",
        "year",
        ("Data de Nasc", "Ano nasc", "Data de nascimento", "Ano de nascimento", "Nascimento"),
    ),
    Concept("ano_ingresso", "year", ("Ano ingresso", "Ano de ingresso", "Ingresso")),
    Concept("genero", "gender", ("Gênero", "Sexo")),
    Concept("instituicao", "school", ("Instituição de ensino", "Instituição")),
    Concept("inde", "number", ("INDE",)),
    Concept("nome", "text", ("Nome", "Nome Anonimizado", "Nome do aluno")),
    Concept("turma", "text", ("Turma",)),
)
CONCEPTS: tuple[Concept, ...] = (
    Concept("ra", "identity", ("RA", "Registro do aluno", "Registro acadêmico")),
    *(Concept(row.feature.name, row.kind, row.headers) for row in INPUTS if row.headers),
    *(concept for concept in _OTHERS if concept.name not in FEATURE_NAMES),
)
"""All concepts that are read, the identity first. Texts (name, class) are used only in the list of
one year, never in a dataset."""

NEEDED: tuple[tuple[str, ...], ...] = (
    ("ra",),
    ("fase",),
    ("defasagem", "fase_ideal"),
    ("idade", "ano_nascimento"),
)
"""At least one column of each group is required; the others are computed from it."""

TITLES: Mapping[str, tuple[str, ...]] = {concept.name: concept.headers for concept in CONCEPTS}
"""Headers that name each concept, the usual one first."""

_YEAR = re.compile(r"(.*?) ?(20\d\d|\d\d)")


def plain(text: str) -> str:
    """Return text without accents, case, punctuation and repeated space."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(c for c in decomposed if not unicodedata.combining(c))
    return " ".join(re.sub(r"[^0-9a-z]+", " ", letters).split())


_MEANING: Mapping[str, str] = {
    plain(header): concept.name for concept in CONCEPTS for header in concept.headers
}
once([plain(header) for concept in CONCEPTS for header in concept.headers], "header")


def meaning(header: Any, year: int) -> tuple[str, bool] | None:
    """Return the concept a header names and whether it names the year too; None if unknown.

    `INDE 22` in the sheet of 2024 is a past year's column and is ignored.
    """
    if not isinstance(header, str):
        return None
    text = plain(header)
    if text in _MEANING:
        return _MEANING[text], False
    match = _YEAR.fullmatch(text)
    if match is None or int(match.group(2)) % 100 != year % 100:
        return None
    name = _MEANING.get(match.group(1))
    return (name, True) if name else None


def find_header(rows: Sequence[Sequence[Any]], year: int, look: int = 10) -> int:
    """Return the index of the first of `look` rows that has a column `RA`; 0 if none has."""
    for index, row in enumerate(rows[:look]):
        if any(found and found[0] == "ra" for found in (meaning(cell, year) for cell in row)):
            return index
    return 0


def recognise(header: Sequence[Any], rows: Sequence[Sequence[Any]], year: int) -> dict[str, Column]:
    """Return each concept's column, preferably filled, then with the year, then leftmost."""
    candidates: dict[str, list[tuple[bool, bool, int]]] = {}
    for index, cell in enumerate(header):
        found = meaning(cell, year)
        if found:
            empty = not any(index < len(row) and row[index] is not None for row in rows)
            candidates.setdefault(found[0], []).append((empty, not found[1], index))
    columns = {}
    for name, places in candidates.items():
        first, *others = (index for _, _, index in sorted(places))
        columns[name] = Column(first, str(header[first]).strip(), tuple(others))
    return columns
