"""Drift within the values of a column: found where it is, and seldom where it is not."""

import itertools

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from monitoring.drift.comparison import Status
from monitoring.drift.errors import TableError
from monitoring.drift.slices import MOST_SLICES, by_slice, natural_order


def draw(seed: int, rows: int = 1200, moved: float = 0.0) -> pa.Table:
    """Draw rows of three phases; in phase 2 the mark moves."""
    rng = np.random.default_rng(seed)
    phase = rng.integers(0, 3, rows).astype(float)
    mark = rng.normal(6, 1, rows) + moved * (phase == 2)
    return pa.table({"phase": phase, "mark": mark, "score": rng.random(rows)})


def test_the_same_rows_have_not_changed() -> None:
    """GREEN for each value, in the order of numbers."""
    found = by_slice(draw(1), draw(1), "phase")
    assert [one.name for one in found] == ["0", "1", "2"]
    assert {one.status for one in found} == {Status.GREEN}
    assert [one.n_window for one in found] == [one.n_reference for one in found]


def test_numbers_come_before_names_and_nan_is_a_name() -> None:
    """Whatever the order they come in."""
    names = ["10", "2", "inf", "nan", "1A", "-1,5", "0.5"]
    expected = ["0.5", "2", "10", "-1,5", "1A", "inf", "nan"]
    for given in itertools.permutations(names):
        assert sorted(given, key=natural_order) == expected


def test_a_change_of_one_value_is_found_there_and_nowhere_else() -> None:
    """What all rows together show weakly is RED in its slice, and named."""
    *others, last = by_slice(draw(1), draw(2, moved=2.0), "phase")
    assert last.status is Status.RED
    assert last.drifted == ("mark",)
    assert {one.status for one in others} == {Status.GREEN}


def test_false_alarms_are_shared_among_the_values() -> None:
    """In windows without drift a report of three slices raises one at most as often as promised."""
    alarms = sum(
        any(one.status is not Status.GREEN for one in by_slice(draw(7), draw(100 + n), "phase"))
        for n in range(100)
    )
    assert alarms <= 6  # of 2 expected at most; more than 6 would come once in 200 seeds


def test_too_few_rows_are_not_compared() -> None:
    """Of ten rows nobody can say that nothing changed."""
    window = draw(2).slice(0, 30)
    assert {one.status for one in by_slice(draw(1), window, "phase")} == {Status.INCONCLUSIVE}


def test_rows_without_a_value_are_a_slice() -> None:
    """They are part of the window, so the report counts them."""
    table = draw(1)
    gaps = pc.if_else(pc.equal(table["phase"], 2.0), None, table["phase"])
    table = table.set_column(0, "phase", gaps)
    found = by_slice(table, table, "phase")
    assert sorted(one.name for one in found) == ["0", "1", "ausente"]
    assert sum(one.n_window for one in found) == table.num_rows


def test_a_column_of_many_values_is_no_way_to_slice() -> None:
    """It is refused, without a value of it."""
    with pytest.raises(TableError, match="mark") as refused:
        by_slice(draw(1), draw(2), "mark")
    assert str(MOST_SLICES) not in str(refused.value)
