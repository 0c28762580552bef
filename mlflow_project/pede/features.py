"""The model's inputs, known of a student in year t. To add one, add a row to `INPUTS`.

All that depends on the inputs is derived from this table: the columns that are read, the dataset's
columns, the served contract and its example.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from core.contract.model import Feature

Kind = Literal["identity", "text", "number", "phase", "year", "gender", "school"]
"""How a column's cells are read."""

GRADE_MAX = 10.1
"""Grades and indicators go to 10; sums of rounded parts reach 10.01 in the programme's sheets."""

YOUNGEST, OLDEST = 4, 40
"""Plausible ages in years; birth years are checked against them too."""


@dataclass(frozen=True, slots=True)
class Input:
    """A model input: its feature in the contract, and the source of its value.

    Attributes:
        feature: name, unit, inclusive range and description, as the contract states them.
        example: its value in the contract's example; invented, never a child's.
        headers: names of its column in a sheet, the usual one first; accents, case and a year at
            the end do not matter.
        kind: how the column's cells are read.
        computed: for an input without a column: its values from the other columns of the year, a
            frame with all concepts of `columns`.
    """

    feature: Feature
    example: float
    headers: tuple[str, ...] = ()
    kind: Kind = "number"
    computed: Callable[[pd.DataFrame], pd.Series] | None = None

    def __post_init__(self) -> None:
        """Refuse a row that the reader or the contract could not use.

        Raises:
            ValueError: neither or both of headers and a computation, no range, or an example
                outside it.
        """
        name, low, high = self.feature.name, self.feature.min, self.feature.max
        if bool(self.headers) == bool(self.computed):
            raise ValueError(f"input {name!r} needs either headers or a computation")
        if low is None or high is None or not low <= self.example <= high:
            raise ValueError(f"input {name!r}: the example {self.example} is not in its range")


def _input(
    name: str,
    unit: str,
    bounds: tuple[float, float],
    example: float,
    description: str,
    *headers: str,
    kind: Kind = "number",
    computed: Callable[[pd.DataFrame], pd.Series] | None = None,
) -> Input:
    feature = Feature(name, "double", unit, *bounds, nullable=True, description=description)
    return Input(feature, example, headers, kind, computed)


def _grade(name: str, example: float, description: str, *headers: str) -> Input:
    return _input(name, "nota 0–10", (0, GRADE_MAX), example, description, *headers)


# fmt: off
INPUTS: tuple[Input, ...] = (
    _input("fase", "fase", (0, 9), 3, "Fase no programa no ano de referência (ALFA = 0)",
           "Fase", kind="phase"),
    _input("idade", "anos", (YOUNGEST, OLDEST), 13,
           "Idade em 30 de junho do ano de referência, com decimais; sem o dia do nascimento, o "
           "ano menos o ano de nascimento",
           "Idade", "Idade do aluno", "Idade aluno"),
    _input("fase_ideal", "fase", (0, 9), 4,
           "Fase esperada para a idade e o ano escolar (ALFA = 0)",
           "Fase ideal", "Nível ideal", kind="phase"),
    _input("defasagem", "fases", (-9, 9), -1, "Fase menos fase ideal; negativa quando há atraso",
           "Defasagem", "Defas"),
    _input("anos_no_programa", "anos", (0, OLDEST), 2, "Ano de referência menos ano de ingresso",
           computed=lambda year: year["ano"] - year["ano_ingresso"]),
    _grade("iaa", 8.0, "Indicador de autoavaliação", "IAA"),
    _grade("ieg", 7.5, "Indicador de engajamento", "IEG"),
    _grade("ips", 7.0, "Indicador psicossocial", "IPS"),
    _grade("ipp", 7.0, "Indicador psicopedagógico", "IPP"),
    _grade("ida", 6.5, "Indicador de aprendizagem", "IDA"),
    _grade("ipv", 7.0, "Indicador de ponto de virada", "IPV"),
    _grade("mat", 6.0, "Nota de matemática", "Mat", "Matem", "Matemática", "Nota mat"),
    _grade("por", 6.5, "Nota de português", "Por", "Portug", "Português", "Nota port"),
    _grade("ing", 6.0, "Nota de inglês", "Ing", "Inglês", "Nota ing"),
)
# fmt: on
"""In pipeline order. Ranges cover all real rows with a margin; a value outside is dropped."""


def once(names: Sequence[str], what: str) -> tuple[str, ...]:
    """Return the names, which must be unique.

    Raises:
        ValueError: a name occurs twice.
    """
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{what} twice: {', '.join(twice)}")
    return tuple(names)


FEATURES: tuple[Feature, ...] = tuple(row.feature for row in INPUTS)
FEATURE_NAMES = once([feature.name for feature in FEATURES], "input")
EXAMPLE: Mapping[str, float] = {row.feature.name: float(row.example) for row in INPUTS}
"""An invented student; never a child's row."""
BOUNDS: Mapping[str, tuple[float, float]] = {
    feature.name: (float(feature.min or 0.0), float(feature.max or 0.0)) for feature in FEATURES
}
"""Inclusive range of each feature."""
