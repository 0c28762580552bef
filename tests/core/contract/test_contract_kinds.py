"""A contract with a value of the wrong type is rejected with an error that names the field."""

from typing import Any

import pytest

from core.contract.model import ContractError, Feature, ModelContract

CONTRACT = ModelContract("v1.0.0", (Feature("age", min=0, max=120),), "churn", 0.5)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"threshold": True}, "threshold"),
        ({"threshold": "0.5"}, "threshold"),
        ({"threshold": float("nan")}, "threshold"),
        ({"threshold": 10**400}, "threshold"),
        ({"entity": 5}, "entity"),
        ({"entity": ""}, "entity"),
        ({"positive_class": True}, "positive_class"),
        ({"positive_class": -1}, "positive_class"),
        ({"score_name": "model_version"}, "model_version"),
        ({"score_name": "explanation"}, "explanation"),
        ({"score_name": "latency_ms"}, "latency_ms"),
        ({"score_name": "label", "label_name": "score"}, "label"),
        ({"outputs": "score"}, "outputs"),
        ({"outputs": [1]}, "outputs"),
        ({"threshold_policy": []}, "threshold_policy"),
        ({"year_suffixes": "yes"}, "year_suffixes"),
        ({"horizon": 1.5}, "horizon"),
        ({"features": {"name": "age"}}, "features"),
        ({"features": ["age"]}, "contract"),
        ({"features": [{"name": "age", "min": float("nan")}]}, "min"),
        ({"features": [{"name": "age", "max": float("inf")}]}, "max"),
        ({"features": [{"name": "age", "max": 10**400}]}, "max"),
        ({"features": [{"name": "age", "min": False}]}, "min"),
        ({"features": [{"name": "age", "nullable": "no"}]}, "nullable"),
        ({"features": [{"name": "plan", "type": "string", "values": "abc"}]}, "values"),
        ({"features": [{"name": 3}]}, "name"),
        ({"features": [{"name": "\x1b[31m"}]}, "31m"),
        ({"example": {"instance": [1], "score": 0.5}}, "instance"),
        ({"example": {"instance": {"age": 1}, "score": "0.5"}}, "score"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(change: dict[str, Any], named: str) -> None:
    """A value of the wrong type is not coerced; the error names its field."""
    with pytest.raises(ContractError, match=named if named != "contract" else None):
        ModelContract.from_dict({**CONTRACT.to_dict(), **change})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"colour": 1}, "campo desconhecido: colour"),
        ({"features": [{"name": "age", "colour": 1}]}, "'age': campo desconhecido: colour"),
        ({"features": [{"type": "double"}]}, r"features\[1\]: falta: name"),
        ({"features": ["age"]}, r"features\[1\] deve ser um objeto"),
        ({"example": {"score": 0.5}}, "example: falta: instance"),
        ({"example": [1]}, "example deve ser um objeto"),
    ],
)
def test_a_field_too_many_or_too_few_is_named(change: dict[str, Any], told: str) -> None:
    """Unknown and missing fields are reported in the configured language, not as a TypeError."""
    with pytest.raises(ContractError, match=f"^{told}$"):
        ModelContract.from_dict({**CONTRACT.to_dict(), **change})


def test_a_contract_without_what_it_needs_names_that() -> None:
    """All missing fields are reported at once; a value that is no object is reported as such."""
    with pytest.raises(ContractError, match=r"^falta: features, release, target, threshold$"):
        ModelContract.from_dict({})
    with pytest.raises(ContractError, match=r"^o contrato deve ser um objeto$"):
        ModelContract.from_dict([])  # type: ignore[arg-type]


def test_what_is_written_is_read() -> None:
    """`from_dict` accepts the output of `to_dict`."""
    assert ModelContract.from_dict(CONTRACT.to_dict()).features == CONTRACT.features
