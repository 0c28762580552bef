"""The model's inputs: what is known of a student in year t, as the served contract states it."""

from core.contract.model import Feature

GRADE_MAX = 10.1
"""Notes and indicators go to 10; sums of rounded parts reach 10.01 in the programme's sheets."""

YOUNGEST, OLDEST = 4, 40
"""Ages in years that the programme could have; a birth year is held to them too."""

_GRADE = "nota 0–10"


def _number(name: str, unit: str, low: float, high: float, description: str) -> Feature:
    return Feature(name, "double", unit, low, high, nullable=True, description=description)


def _grade(name: str, description: str) -> Feature:
    return _number(name, _GRADE, 0, GRADE_MAX, description)


FEATURES: tuple[Feature, ...] = (
    _number("fase", "fase", 0, 9, "Fase no programa no ano de referência (ALFA = 0)"),
    _number("idade", "anos", YOUNGEST, OLDEST, "Idade que completa no ano de referência"),
    _number("fase_ideal", "fase", 0, 9, "Fase esperada para a idade e o ano escolar (ALFA = 0)"),
    _number("defasagem", "fases", -9, 9, "Fase menos fase ideal; negativa quando há atraso"),
    _number("anos_no_programa", "anos", 0, OLDEST, "Ano de referência menos ano de ingresso"),
    _grade("iaa", "Indicador de autoavaliação"),
    _grade("ieg", "Indicador de engajamento"),
    _grade("ips", "Indicador psicossocial"),
    _grade("ipp", "Indicador psicopedagógico"),
    _grade("ida", "Indicador de aprendizagem"),
    _grade("ipv", "Indicador de ponto de virada"),
    _grade("mat", "Nota de matemática"),
    _grade("por", "Nota de português"),
    _grade("ing", "Nota de inglês"),
)
"""In pipeline order. Ranges admit every real row with some slack; what lies outside is no value."""

FEATURE_NAMES: tuple[str, ...] = tuple(feature.name for feature in FEATURES)

BOUNDS: dict[str, tuple[float, float]] = {
    feature.name: (float(feature.min or 0.0), float(feature.max or 0.0)) for feature in FEATURES
}
"""Inclusive range of each feature."""
