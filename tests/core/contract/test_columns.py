"""What the store calls a feature's column."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.contract.columns import RESERVED_COLUMNS, column_of, feature_of, probability_columns

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@pytest.mark.parametrize("name", ["age", "_x", "Período 2", "idade (anos)", "a`b", "x" * 200])
def test_a_plain_name_is_its_own_column(name: str) -> None:
    """So whatever was captured before names were escaped is found as it was."""
    assert column_of(name) == name == feature_of(name)


@pytest.mark.parametrize(
    "name", ["", "0", "1st", "😀", "x" * 201, "a\nb", "@probability_0", *sorted(RESERVED_COLUMNS)]
)
def test_any_other_name_is_escaped_and_told_again(name: str) -> None:
    """None of them can be taken for a column of the store's own."""
    column = column_of(name)
    assert column.startswith("@feature_")
    assert column.isascii()
    assert column not in RESERVED_COLUMNS | set(probability_columns(50))
    assert feature_of(column) == name


@given(NAMES, st.integers(0, 3))
@settings(deadline=None)
def test_no_two_features_share_a_column(name: str, times: int) -> None:
    """Also where one is called as another is stored: the name is always told again."""
    for _ in range(times):
        name = column_of(name)
    assert feature_of(column_of(name)) == name
