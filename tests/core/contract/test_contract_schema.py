"""The published JSON schema of a contract agrees with the code that reads one."""

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from core.contract.columns import RESERVED_COLUMNS
from core.contract.kinds import CONTRACT_KINDS, FEATURE_KINDS
from core.contract.model import ContractError, Example, Feature, ModelContract
from core.contract.types import FEATURE_TYPES
from mlflow_project.dataset.risk import FEATURES
from tests.live import ROOT
from tests.tiny_versions import INSTANCE, Kind, build_contract

SCHEMA = json.loads((ROOT / "docs/contract.schema.json").read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
TINY = build_contract(Kind("v1.0.0", 0.5, 0, 400), 0.25)


def code_accepts(data: dict[str, Any]) -> bool:
    """Return whether the code accepts a contract."""
    try:
        ModelContract.from_dict(data)
    except ContractError:
        return False
    return True


def test_the_schema_lists_what_the_code_knows() -> None:
    """Fields, types and reserved names of the schema equal the tables of the code."""
    Draft202012Validator.check_schema(SCHEMA)
    feature = SCHEMA["$defs"]["feature"]["properties"]
    assert SCHEMA["properties"].keys() == {one.name for one in fields(ModelContract)}
    assert SCHEMA["properties"].keys() == {*CONTRACT_KINDS, "example"}
    assert feature.keys() == {one.name for one in fields(Feature)} == FEATURE_KINDS.keys()
    assert feature["type"]["enum"] == list(FEATURE_TYPES)
    taken = set(SCHEMA["$defs"]["output_name"]["not"]["enum"])
    assert taken == RESERVED_COLUMNS - {"score", "label"} | {"explanation"}


@pytest.mark.parametrize(
    "contract",
    [
        TINY,
        ModelContract("v0.0.7", FEATURES, "em_risco", 0.4, horizon=1, period_field="ano"),
        ModelContract("v1.0.0", (Feature("x0"),), "", 0.5, outputs=("a", "b")),
        ModelContract("v1.0.0", (Feature("x0"),), "", 0.5, outputs=("y",), output_kind="value"),
        ModelContract("v1.0.0", (Feature("x0"),), "", 0.5, horizon=0),
    ],
)
def test_what_the_code_writes_fits_the_schema(contract: ModelContract) -> None:
    """A contract written by the code is valid in the schema and reads back equal."""
    data = contract.to_dict()
    VALIDATOR.validate(data)
    assert ModelContract.from_dict(data) == contract


NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=9)
TEXTS = st.text(max_size=5)
BOUNDS = st.one_of(st.none(), st.floats(-1e6, 0)), st.one_of(st.none(), st.floats(0, 1e6))


@st.composite
def contracts(draw: st.DrawFn) -> ModelContract:
    """Draw a contract that can be served."""
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    features = tuple(
        Feature(
            name,
            draw(st.sampled_from(tuple(FEATURE_TYPES))),
            draw(TEXTS),
            *(draw(bound) for bound in BOUNDS),
            draw(st.booleans()),
            draw(TEXTS),
            tuple(draw(st.lists(TEXTS, max_size=3))),
        )
        for name in names
    )
    example = st.builds(Example, st.just(dict.fromkeys(names)), st.floats(0, 1))
    return ModelContract(
        f"v{draw(st.integers(0, 99))}.0.1",
        features,
        draw(TEXTS),
        draw(st.floats(0, 1)),
        {"policy": draw(TEXTS)},
        draw(st.sampled_from(["score", "churn"])),
        draw(st.sampled_from(["label", "left"])),
        draw(st.integers(0, 5)),
        draw(st.sampled_from([None, "cpf"])),
        draw(st.one_of(st.none(), example)),
        outputs := tuple(draw(st.lists(st.sampled_from(["a", "b"]), unique=True))),
        draw(st.sampled_from(["", "value", "classes"] if outputs else [""])),
        draw(st.sampled_from([None, 0, 1])),
        draw(st.sampled_from([None, "ano"])),
        draw(st.booleans()),
    )


@given(contracts())
@settings(max_examples=100, deadline=None)
def test_whatever_can_be_served_fits_the_schema(contract: ModelContract) -> None:
    """Any contract that can be served is valid in the schema and reads back equal."""
    data = contract.to_dict()
    VALIDATOR.validate(data)
    assert ModelContract.from_dict(data) == contract


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(-3, 3).filter(lambda x: not x.is_integer()),
    st.sampled_from(
        ["", " ", "v1.0", "v1.0.0", "score", "label", "period", "explanation", "9a", "😀", "a\x1b"]
    ),
    st.just([]),
    st.just({}),
    st.lists(st.integers(), min_size=1, max_size=2),
)


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_a_changed_field_is_judged_alike(data: st.DataObject) -> None:
    """The code rejects all that the schema rejects, and more only by rules across fields."""
    broken = json.loads(json.dumps(TINY.to_dict()))
    place = data.draw(st.sampled_from(["contract", "feature", "example"]))
    target = {"contract": broken, "feature": broken["features"][0], "example": broken["example"]}
    name = data.draw(
        st.sampled_from([*target[place], "horizon", "outputs", "output_kind", "nonsense"])
    )
    if data.draw(st.booleans()):
        target[place].pop(name, None)
    else:
        target[place][name] = data.draw(VALUES)
    fits = VALIDATOR.is_valid(broken)
    features = broken["features"] if isinstance(broken.get("features"), list) else []
    told = [one.get("name") for one in features if isinstance(one, dict)]
    if fits and not code_accepts(broken):
        # Rules across fields, which the schema states only in its description.
        example = broken.get("example") or {}
        bounds = [(one.get("min"), one.get("max")) for one in features]
        assert (
            set(example.get("instance", told)) != set(told)
            or any(low is not None and high is not None and low > high for low, high in bounds)
            or broken.get("score_name") == broken.get("label_name")
            or (broken.get("output_kind") and not broken.get("outputs"))
        )
    assert fits or not code_accepts(broken)


def test_the_schemas_description_names_its_own_limits() -> None:
    """Contracts that break rules across fields pass the schema and are rejected by the code."""
    first, *_ = TINY.to_dict()["features"]
    for change in (
        {"features": [first, {**first, "unit": "K"}]},
        {"features": [{**first, "min": 2, "max": 1}], "example": None},
        {"entity": "wear"},
        {"period_field": "wear"},
        {"score_name": "same", "label_name": "same"},
        {"example": {"instance": {**INSTANCE, "more": 1}, "score": 0.5}},
    ):
        broken = {**TINY.to_dict(), **change}
        assert VALIDATOR.is_valid(broken)
        assert not code_accepts(broken)
