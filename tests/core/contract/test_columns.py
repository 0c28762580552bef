"""Column names of features in the store, escaped and decoded."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.contract.columns import RESERVED_COLUMNS, column_of, feature_of, probability_columns

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@pytest.mark.parametrize("name", ["age", "_x", "Período 2", "idade (anos)", "a`b", "x" * 200])
def test_a_plain_name_is_its_own_column(name: str) -> None:
    """Plain names are not escaped, so rows captured before there was escaping are still found."""
    assert column_of(name) == name == feature_of(name)


@pytest.mark.parametrize(
    "name", ["", "0", "1st", "😀", "x" * 201, "a\nb", "@probability_0", *sorted(RESERVED_COLUMNS)]
)
def test_any_other_name_is_escaped_and_told_again(name: str) -> None:
    """Any other name is escaped without clash with the store's own columns, and decoded back."""
    column = column_of(name)
    assert column.startswith("@feature_")
    assert column.isascii()
    assert column not in RESERVED_COLUMNS | set(probability_columns(50))
    assert feature_of(column) == name


@given(NAMES, st.integers(0, 3))
@settings(deadline=None)
def test_no_two_features_share_a_column(name: str, times: int) -> None:
    """Decoding restores every name, also one that looks like an escaped column."""
    for _ in range(times):
        name = column_of(name)
    assert feature_of(column_of(name)) == name
