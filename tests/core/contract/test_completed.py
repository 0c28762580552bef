"""Descriptions from outside a version, merged into the contract derived from its signature."""

import pytest

from core.contract.completed import artifact_of, completed, dumped, merged
from core.contract.derived import contract_of_version
from core.contract.model import ContractError
from core.contract.types import FEATURE_TYPES

PLAIN = contract_of_version(
    3, None, {}, [{"name": "age", "type": "double"}, {"name": "plan", "type": "string"}], None
)


def test_a_threshold_makes_a_score_of_an_output() -> None:
    """A threshold in the description turns named outputs into a score and a label."""
    assert PLAIN.outputs
    contract = completed(PLAIN, {"threshold": 0.4, "positive_class": 0, "entity": "cpf"})
    assert (contract.outputs, contract.threshold, contract.positive_class) == ((), 0.4, 0)
    assert contract.entity == "cpf"
    assert contract.release == "v0.0.3"


def test_features_get_units_ranges_and_values() -> None:
    """Units, ranges and values are added; names and types stay those of the signature."""
    known = {
        "features": {"age": {"unit": "years", "min": 0, "max": 120}, "plan": {"values": ["a"]}}
    }
    age, plan = completed(PLAIN, known).features
    assert (age.name, age.type, age.unit, age.min, age.max) == ("age", "double", "years", 0, 120)
    assert plan.values == ("a",)


@pytest.mark.parametrize(
    "known",
    [
        {"release": "v1.0.0"},
        {"outputs": []},
        {"features": {"height": {"unit": "m"}}},
        {"features": {"age": {"type": "long"}}},
        {"threshold": 1.5},
        {"entity": "age"},
        {"features": {"age": {"min": 2, "max": 1}}},
    ],
)
def test_what_cannot_be_served_is_refused(known: dict[str, object]) -> None:
    """Fields that contradict the version's files or make a contract invalid are rejected."""
    with pytest.raises(ContractError):
        completed(PLAIN, known)


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({"threshold": True}, "threshold"),
        ({"threshold": "0.5"}, "threshold"),
        ({"threshold_policy": "F2"}, "threshold_policy"),
        ({"positive_class": 0.5}, "positive_class"),
        ({"entity": ["cpf"]}, "entity"),
        ({"target": None}, "target"),
        ({"example": [1]}, "example must be an object"),
        ({"example": {"instance": [1], "score": 0.5}}, "instance"),
        ({"features": ["age"]}, "features"),
        ({"features": {"age": None}}, "age"),
        ({"features": {"age": {"min": "0"}}}, "min"),
        ({"features": {"age": {"nullable": "false"}}}, "nullable"),
        ({"features": {"plan": {"values": "basic"}}}, "values"),
    ],
)
def test_a_value_of_another_kind_is_refused_by_its_field(
    known: dict[str, object], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value of the wrong type is rejected by its field; no text becomes a boolean or a list."""
    monkeypatch.setenv("APP_LANGUAGE", "en")
    with pytest.raises(ContractError, match=told):
        completed(PLAIN, known)


def test_nothing_known_changes_nothing() -> None:
    """An empty description leaves a contract with features of every type unchanged."""
    columns = [{"name": each, "type": each, "required": False} for each in FEATURE_TYPES]
    plain = contract_of_version(3, "v1.0.0", {}, columns, None)
    assert completed(plain, {}) == plain


def test_descriptions_add_up() -> None:
    """The newer description wins per field of each feature; the digest ignores their order."""
    first = {"threshold": 0.4, "features": {"age": {"unit": "years", "min": 0}}}
    both = merged(first, {"threshold": 0.5, "features": {"age": {"min": 1}}})
    assert both == {"threshold": 0.5, "features": {"age": {"unit": "years", "min": 1}}}
    assert dumped(both) == dumped(dict(reversed(both.items())))
    assert dumped(both)[1] != dumped(first)[1]


def test_a_tag_that_is_no_digest_leads_nowhere() -> None:
    """A tag that is no digest is rejected, since anyone with access to MLflow can set tags."""
    for text in ("../../etc/passwd", "", "ABCDEF0123456789", "0" * 17):
        with pytest.raises(ContractError):
            artifact_of(text)
