"""Strict parsing of numbers in tags, settings and options."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.contract.numbers import NumberError, read_number, read_share

WRONG = (
    *("", " ", "0_0", "1_000", "nan", "inf", "-inf", "1e-400", "1e400", "٠.٥", "０.4", "0x1"),
    *(
        "1.2.3",
        "1,2,3",
        "1.000,5",
        "0,4 %",
        "+",
        "e5",
        ".",
        ",",
        "true",
        "9" * 500,
        "1e",
        "1 2",
        "½",
    ),
)


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_number_is_refused(text: str) -> None:
    """Texts that Python or a person might take for a number are rejected; the error quotes them."""
    with pytest.raises(NumberError) as raised:
        read_number(text)
    assert repr(text)[:20] in str(raised.value)


@pytest.mark.parametrize(
    ("text", "number"),
    [("0,4", 0.4), ("0.4", 0.4), (" 1 ", 1.0), ("-2,5e-3", -0.0025), (".5", 0.5), ("0e-9", 0.0)],
)
def test_point_and_comma_are_read(text: str, number: float) -> None:
    """A decimal point and a decimal comma are both accepted."""
    assert read_number(text) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
@settings(deadline=None)
def test_whatever_python_writes_is_read_back(number: float) -> None:
    """Every finite double is parsed back exactly, with a point and with a comma."""
    for text in (repr(number), repr(number).replace(".", ",")):
        assert math.isclose(read_number(text), number, rel_tol=0, abs_tol=0)


def test_a_share_lies_between_0_and_1() -> None:
    """A share lies in [0, 1], both ends included."""
    assert [read_share(text) for text in ("0", "1", "0,35")] == [0.0, 1.0, 0.35]
    for text in ("1.0001", "-0.1", "35"):
        with pytest.raises(NumberError):
            read_share(text)
