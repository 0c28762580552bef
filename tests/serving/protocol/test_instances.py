"""Request bodies: accepted and refused values, and errors that repeat no value."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.contract.model import Feature, ModelContract
from serving.errors import DuplicateKey, InvalidInstances, MalformedBody
from serving.protocol.decoder import InstanceReader
from serving.protocol.instances import Instances
from serving.protocol.problems import MAX_LISTED
from serving.protocol.validation import Validator, decode

CONTRACT = ModelContract(
    release="v1.0.0",
    features=(
        Feature("speed", min=0, max=30, unit="m/s"),
        Feature("wear", nullable=False, min=0),
        Feature("count", type="long", min=-2, max=1000),
        Feature("hot", type="boolean"),
        Feature("kind", type="string", values=("a", "b")),
        Feature("note", type="string"),
    ),
    target="failure",
    threshold=0.5,
    entity="serial",
    year_suffixes=True,
)
READER = InstanceReader(CONTRACT, 5)
SECRET = "SECRET-987654.321"


def read(*instances: Any) -> Instances:
    """Return the result of reading a body with these instances."""
    return READER.read(json.dumps({"instances": instances}).encode())


def problems_of(body: Any) -> list[dict[str, Any]]:
    """Assert that a body is refused; return its problems."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(InvalidInstances) as caught:
        READER.read(data)
    return list(caught.value.details)


def test_rows_are_in_contract_order_with_null_for_absent() -> None:
    """Values are in contract order; absent nullable features become null."""
    result = read({"kind": "b", "wear": 3, "speed": 1.5}, {"wear": 0.25, "serial": 12})
    assert result.rows == [[1.5, 3.0, None, None, "b", None], [None, 0.25, None, None, None, None]]
    assert result.entities == [None, "12"]


def test_a_trailing_year_is_stripped() -> None:
    """A year suffix is removed from feature and entity names and becomes the row's period."""
    plain = read({"speed": 3, "wear": 1, "count": 4, "serial": "s"})
    dated = read({"speed_2023": 3, "wear_2023": 1, "count_2023": 4, "serial": "s"})
    assert dated == replace(plain, periods=[2023])
    assert plain.periods is None
    several = read({"wear_2022": 1}, {"wear": 1}, {"wear_2023": 1, "speed": 2, "serial_2023": "s"})
    assert several.periods == [2022, None, 2023]


def test_two_years_in_a_row_are_an_error() -> None:
    """Two years in one row are refused, without repeating them; rows may differ."""
    (problem,) = problems_of({"instances": [{"wear_2023": 1, "speed_2022": 1}]})
    assert (problem["instance"], problem["problem"]) == (0, "dois períodos diferentes na linha")
    assert "20" not in json.dumps(problem)


def test_a_contract_that_takes_no_years_refuses_them() -> None:
    """Without `year_suffixes` a name with a year is unknown; the plain name is suggested."""
    contract = replace(CONTRACT, year_suffixes=False)
    with pytest.raises(InvalidInstances) as caught:
        InstanceReader(contract, 5).read(b'{"instances": [{"wear": 1, "speed_2023": 2}]}')
    (problem,) = caught.value.details
    assert problem["problem"] == "campo desconhecido; talvez speed"


DATED = replace(CONTRACT, period_field="season")


@pytest.mark.parametrize("plain", [True, False], ids=["fast", "careful"])
def test_a_field_may_state_the_period(plain: bool) -> None:
    """The contract's period field gives the period in both readers and is not a feature."""
    rows = [{"wear": 1, "season": 2023}, {"wear": 2, "season": None}, {"wear": 3}]
    if not plain:
        rows[1]["season"] = "2024"
    read_ = InstanceReader(DATED, 5).read(json.dumps({"instances": rows}).encode())
    assert read_.periods == [2023, None if plain else 2024, None]
    assert [len(row) for row in read_.rows] == [6, 6, 6]


@pytest.mark.parametrize("season", [1, 20235, 2023.5, True, "next", "٢٠٢٣", "-202"])
def test_a_period_is_a_year(season: Any) -> None:
    """A period that is no year is refused with the field's name."""
    with pytest.raises(InvalidInstances) as caught:
        body = json.dumps({"instances": [{"wear": 1, "season": season}]}).encode()
        InstanceReader(DATED, 5).read(body)
    (problem,) = caught.value.details
    assert (problem["field"], problem["problem"]) == ("season", "não é um ano")


def test_all_that_state_a_period_must_agree() -> None:
    """Year suffixes, period field and the caller's period must agree, or the row is refused."""
    validator = Validator(DATED, 5)
    row = {"wear_2023": 1, "season": 2023}
    assert validator.read_instances([row], 2023).periods == [2023]
    assert validator.read_instances([{"wear": 1}], 2023).periods == [2023]
    for other, period in (({**row, "season": 2022}, None), (row, 2024)):
        with pytest.raises(InvalidInstances, match="1 problema"):
            validator.read_instances([other], period)


def test_a_name_that_itself_ends_in_a_year_is_left_alone() -> None:
    """A year is removed only if the full name is unknown and the plain one is known."""
    features = (Feature("sales_2020"), Feature("sales"))
    contract = ModelContract("v1.0.0", features, "t", 0.5, year_suffixes=True)
    body = b'{"instances": [{"sales_2020": 1, "sales_2021": 2}]}'
    assert InstanceReader(contract, 5).read(body).rows == [[1.0, 2.0]]


@pytest.mark.parametrize(
    "fields", [{"speed": 1, "speed_2023": 1}, {"speed_2022": 1, "speed_2023": 2}]
)
def test_two_spellings_of_one_feature_are_an_error(fields: dict[str, float]) -> None:
    """Two spellings of one feature in a row are refused with the feature's name."""
    (problem,) = problems_of({"instances": [{"wear": 1, **fields}]})
    assert (problem["instance"], problem["field"]) == (0, "speed")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("speed", "3"),
        ("speed", SECRET),
        ("speed", True),
        ("speed", [1]),
        ("speed", {}),
        ("speed", -0.001),
        ("speed", 30.001),
        ("speed", math.nan),
        ("speed", math.inf),
        ("speed", -math.inf),
        ("speed", 10**400),
        ("wear", None),
        ("wear", "x"),
        ("count", 1.5),
        ("count", 1001),
        ("count", -3),
        ("count", 10**30),
        ("count", False),
        ("count", math.nan),
        ("hot", 1),
        ("hot", "true"),
        ("kind", "c"),
        ("kind", 1),
        ("note", 1),
        ("note", "\ud800"),
        ("serial", 1.5),
        ("serial", True),
        ("serial", ""),
        ("serial", "  "),
        ("serial", [SECRET]),
    ],
)
def test_a_wrong_value_is_named_by_instance_and_field(field: str, value: Any) -> None:
    """A problem has instance, field, text and allowed values, and not the sent value."""
    good = {"wear": 1}
    (problem,) = problems_of({"instances": [good, {**good, field: value}]})
    assert (problem["instance"], problem["field"]) == (1, field)
    assert problem["problem"]
    assert problem["allowed"]
    assert SECRET not in json.dumps(problem)


@pytest.mark.parametrize("value", [0, 30, 7.5, -0.0, None])
def test_bounds_are_inclusive_and_integers_are_numbers(value: float | None) -> None:
    """Both bounds of a range are allowed, and integers are accepted for a double."""
    assert read({"wear": 1, "speed": value}).rows[0][0] == value


def test_an_absent_required_feature_is_a_problem() -> None:
    """An absent feature that is not nullable is reported as missing."""
    (problem,) = problems_of({"instances": [{"speed": 1}]})
    assert (problem["field"], problem["problem"]) == ("wear", "ausente")


def test_all_problems_come_at_once() -> None:
    """The problems of all instances are reported together."""
    bad = [{"speed": 99, "hot": 3}, {"wear": 1}, 5, {"wear": -1, "color": 1}]
    found = {(p["instance"], p["field"]) for p in problems_of({"instances": bad})}
    assert found >= {(0, "speed"), (0, "hot"), (0, "wear"), (2, None), (3, "wear"), (3, "color")}
    assert not any(instance == 1 for instance, _ in found)


def test_an_unknown_field_lists_what_is_accepted() -> None:
    """An unknown field's problem lists the accepted names and suggests the nearest one."""
    (problem,) = problems_of({"instances": [{"wear": 1, "sped": 2}]})
    assert problem["field"] == "sped"
    assert "talvez speed" in problem["problem"]
    assert all(name in problem["allowed"] for name in (*CONTRACT.feature_names, "serial"))


@pytest.mark.parametrize("name", ["SERIAL-123", "Maria da Silva", "x" * 60, "12", "", "Ana"])
def test_an_unknown_name_that_may_be_a_value_is_not_repeated(name: str) -> None:
    """An unknown name that may be personal data is reported by its position."""
    (problem,) = problems_of({"instances": [{"wear": 1, name: 2}]})
    assert problem["field"] == "campo nº 2"


@pytest.mark.parametrize(
    "body",
    [
        [],
        3,
        None,
        {},
        {"instances": None},
        {"instances": {}},
        {"instances": []},
        {"instances": [{"wear": 1}] * 6},
        {"instances": [{"wear": 1}], "other": 1},
    ],
)
def test_a_wrong_outline_is_a_problem_of_no_instance(body: Any) -> None:
    """A problem of the whole body has instance null."""
    assert problems_of(body)[0]["instance"] is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"instances": [{"note": "SECRET',
        b"SECRET",
        b"\xff\xfe",
        b'{"instances": [{"note": "SECRET\xff"}]}',
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"instances": [' + b"9" * 10_000 + b"]}",
        b'{"instances": []} SECRET',
    ],
)
def test_no_json_is_malformed_and_not_repeated(body: bytes) -> None:
    """Malformed JSON raises MalformedBody without repeating the body."""
    with pytest.raises(MalformedBody) as caught:
        READER.read(body)
    assert "SECRET" not in str(caught.value)


def test_problems_are_counted_beyond_those_listed() -> None:
    """At most MAX_LISTED problems are listed, with the true total."""
    fields = {f"f{number}": 1 for number in range(20_000)}
    with pytest.raises(InvalidInstances) as caught:
        read({"wear": 1, **fields})
    assert len(caught.value.details) == MAX_LISTED
    assert caught.value.total == 20_000
    assert "20.000" in str(caught.value)


_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 1200),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(0, 30),
    st.sampled_from(["a", "b", "c", "", " s "]),
)
_FIELDS = st.dictionaries(st.sampled_from([*CONTRACT.feature_names, "serial"]), _VALUES)


@given(st.lists(_FIELDS, min_size=1, max_size=5))
@settings(max_examples=400, deadline=None)
def test_the_quick_reading_agrees_with_the_careful_one(instances: list[dict[str, Any]]) -> None:
    """The fast and the validating reader give equal rows or equal problems for any body."""
    body = json.dumps({"instances": instances}).encode()
    outcomes = []
    for reading in (READER.read, Validator(CONTRACT, 5).read):
        try:
            result = reading(body)
            kinds = [[type(value) for value in row] for row in result.rows]
            outcomes.append((result.rows, kinds, result.entities))
        except InvalidInstances as exc:
            outcomes.append(list(exc.details))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("explain", ["", ',"explain":true', ',"explain":false'])
def test_a_wish_to_be_explained_is_read_quickly(
    explain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`explain` is read by the fast reader; the other blocks the loop 50 ms for 1,000 rows."""
    monkeypatch.setattr(Validator, "read", lambda *_: pytest.fail("read carefully"))
    body = '{"instances":[{"wear":1}]' + explain + "}"
    assert READER.read(body.encode()).explain is explain.endswith("true")
    twice = '{"instances":[{"wear":1}],"explain":true,"explain":false}'
    with pytest.raises(DuplicateKey):
        READER.read(twice.encode())


def test_a_frame_of_mlflows_is_decoded_at_once_or_left_to_the_careful_reading() -> None:
    """`read_frame` gives the rows of `read` for columns in order or records, else None."""
    row = {"speed": 1.5, "wear": 3, "count": 4, "hot": True, "kind": "a", "note": None}
    split = {"columns": list(row), "data": [list(row.values())]}
    expected = read(row)
    for body in ({"dataframe_split": split}, {"dataframe_records": [row]}):
        found = READER.read_frame(json.dumps(body).encode())
        assert found is not None
        assert [list(values) for values in found.rows] == expected.rows
        assert found.entities == expected.entities
    someone = READER.read_frame(json.dumps({"dataframe_records": [{**row, "serial": 7}]}).encode())
    assert someone is not None
    assert someone.entities == ["7"]
    others: list[Any] = [
        {"dataframe_split": {**split, "columns": split["columns"][::-1]}},
        {"dataframe_split": {**split, "data": [[1.5, None, 4, True, "a", None]]}},
        {"dataframe_split": {**split, "data": [[1.5]]}},
        {"dataframe_split": {**split, "data": []}},
        {"dataframe_split": {**split, "data": split["data"] * 6}},
        {"dataframe_split": split, "dataframe_records": [row]},
        {"dataframe_records": [{**row, "serial": " "}]},
        {"dataframe_records": [{**row, "speed_2023": 3}]},
        {"instances": [row]},
        {},
        [],
    ]
    assert [READER.read_frame(json.dumps(body).encode()) for body in others] == [None] * len(others)
    assert READER.read_frame(b"{") is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"instances": [{"wear": 1, "wear": 2}]}', "wear"),
        ('{"instances": [{"wear": 1, "speed": null, "speed": 3}]}', "speed"),
        ('{"instances": [{"wear": 1, "speed": 3, "speed": null}]}', "speed"),
        ('{"instances": [{"wear": 1, "we\\u0061r": 2}]}', "wear"),
        ('{"instances": [{"wear": 1, "note": "a:b:c", "wear": 2}]}', "wear"),
        ('{"instances": [{"wear": 1, "note": "a\\u003ab", "wear": 2}]}', "wear"),
        ('{"instances": [{"wear": 1}, {"wear": 1, "serial": "a", "serial": "b"}]}', "serial"),
        ('{"instances": [{"wear": 1}], "instances": [{"wear": 2}]}', "instances"),
        ('{"instances": [{"wear": 1}], "explain": true, "explain": false}', "explain"),
        ('{"instances": [{"wear": 1, "SECRET 1": 2, "SECRET 1": 3}]}', "campo nº 3"),
    ],
)
def test_a_key_given_twice_is_refused_by_name_and_no_value_is_repeated(
    body: str, field: str
) -> None:
    """A duplicate key is refused by name: JSON readers differ in which value they keep."""
    with pytest.raises(DuplicateKey) as caught:
        READER.read(body.encode())
    (detail,) = caught.value.details
    assert detail["field"] == field
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        '{"dataframe_records": [{"wear": 1, "speed": null, "speed": 2}]}',
        '{"dataframe_split": {"columns": ["speed"], "columns": %s, "data": [%s]}}',
        '{"dataframe_split": {"columns": %s, "data": [%s]}, "dataframe_split": null}',
    ],
)
def test_mlflow_s_bodies_with_a_key_given_twice_are_left_to_the_careful_reader(body: str) -> None:
    """MLflow bodies with a duplicate key are refused, by `read_frame` or by `decode`."""
    columns = json.dumps([feature.name for feature in CONTRACT.features])
    text = body.replace("%s", columns, 1).replace("%s", '[1, 2, 3, true, "a", "n"]', 1)
    with pytest.raises(DuplicateKey):
        if READER.read_frame(text.encode()) is None:
            decode(text.encode())


@given(st.lists(st.sampled_from(["wear", "speed", "count", "note", "serial"]), max_size=7))
@settings(deadline=None)
def test_a_body_is_taken_exactly_when_each_key_is_given_once(names: list[str]) -> None:
    """Duplicate keys are refused and unique ones accepted, in any order, with colons in text."""
    values = {"wear": "1", "speed": "null", "count": "3", "note": '"a:b"', "serial": '"s:1"'}
    fields = ", ".join(f'"{name}": {values[name]}' for name in ["wear", *names])
    body = f'{{"instances": [{{{fields}}}]}}'.encode()
    if len({"wear", *names}) == 1 + len(names):
        assert READER.read(body).rows[0][1] == 1
    else:
        with pytest.raises(DuplicateKey):
            READER.read(body)
