"""Headers of the yearly sheets, as the programme writes them; some are repeated."""

from collections.abc import Mapping

_HEADERS_2022 = (
    "RA|Fase|Turma|Nome|Ano nasc|Idade 22|Gênero|Ano ingresso|Instituição de ensino|Pedra 20|"
    "Pedra 21|Pedra 22|INDE 22|Cg|Cf|Ct|Nº Av|Avaliador1|Rec Av1|Avaliador2|Rec Av2|Avaliador3|"
    "Rec Av3|Avaliador4|Rec Av4|IAA|IEG|IPS|Rec Psicologia|IDA|Matem|Portug|Inglês|Indicado|"
    "Atingiu PV|IPV|IAN|Fase ideal|Defas|Destaque IEG|Destaque IDA|Destaque IPV"
)
_HEADERS_2023 = (
    "RA|Fase|INDE 2023|Pedra 2023|Turma|Nome Anonimizado|Data de Nasc|Idade|Gênero|Ano ingresso|"
    "Instituição de ensino|Pedra 20|Pedra 21|Pedra 22|Pedra 23|INDE 22|INDE 23|Cg|Cf|Ct|Nº Av|"
    "Avaliador1|Rec Av1|Avaliador2|Rec Av2|Avaliador3|Rec Av3|Avaliador4|Rec Av4|IAA|IEG|IPS|IPP|"
    "Rec Psicologia|IDA|Mat|Por|Ing|Indicado|Atingiu PV|IPV|IAN|Fase Ideal|Defasagem|Destaque IEG|"
    "Destaque IDA|Destaque IPV|Destaque IPV"
)
_HEADERS_2024 = (
    "RA|Fase|INDE 2024|Pedra 2024|Turma|Nome Anonimizado|Data de Nasc|Idade|Gênero|Ano ingresso|"
    "Instituição de ensino|Pedra 20|Pedra 21|Pedra 22|Pedra 23|INDE 22|INDE 23|Cg|Cf|Ct|Nº Av|"
    "Avaliador1|Rec Av1|Avaliador2|Rec Av2|Avaliador3|Avaliador4|Avaliador5|Avaliador6|IAA|IEG|IPS|"
    "IPP|Rec Psicologia|IDA|Mat|Por|Ing|Indicado|Atingiu PV|IPV|IAN|Fase Ideal|Defasagem|"
    "Destaque IEG|Destaque IDA|Destaque IPV|Escola|Ativo/ Inativo|Ativo/ Inativo"
)
HEADERS: Mapping[int, tuple[str, ...]] = {
    2022: tuple(_HEADERS_2022.split("|")),
    2023: tuple(_HEADERS_2023.split("|")),
    2024: tuple(_HEADERS_2024.split("|")),
}
"""Headers of the programme's own sheets, in order."""


def headers(year: int) -> tuple[str, ...]:
    """Return the headers of a year's sheet; after 2024, 2024's with one more past year each."""
    if year in HEADERS:
        return HEADERS[year]
    text = _HEADERS_2024.replace("2024", str(year))
    for name in ("Pedra", "INDE"):
        past = "|".join(f"{name} {then % 100}" for then in range(2023, year))
        text = text.replace(f"{name} 23", past)
    return tuple(text.split("|"))
