"""Drift by slices of a column: detection, false alarms and refusals."""

import itertools
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from monitoring.drift.comparison import Status
from monitoring.drift.errors import TableError
from monitoring.drift.slices import by_slice, natural_order


def draw(seed: int, rows: int = 1200, moved: float = 0.0) -> pa.Table:
    """Draw rows of three phases; `moved` is added to the marks of phase 2."""
    rng = np.random.default_rng(seed)
    phase = rng.integers(0, 3, rows).astype(float)
    mark = rng.normal(6, 1, rows) + moved * (phase == 2)
    return pa.table({"phase": phase, "mark": mark, "score": rng.random(rows)})


def test_the_same_rows_have_not_changed() -> None:
    """Equal rows are GREEN for each value, sorted as numbers."""
    found = by_slice(draw(1), draw(1), "phase")
    assert [one.name for one in found] == ["0", "1", "2"]
    assert {one.status for one in found} == {Status.GREEN}
    assert [one.n_window for one in found] == [one.n_reference for one in found]


def test_numbers_come_before_names_and_nan_is_a_name() -> None:
    """The sort order is independent of the input order; `nan` and `inf` sort as text."""
    names = ["10", "2", "inf", "nan", "1A", "-1,5", "0.5"]
    expected = ["0.5", "2", "10", "-1,5", "1A", "inf", "nan"]
    for given in itertools.permutations(names):
        assert sorted(given, key=natural_order) == expected


def test_a_change_of_one_value_is_found_there_and_nowhere_else() -> None:
    """A shift in one slice is RED there, with its column named, and the others are GREEN."""
    *others, last = by_slice(draw(1), draw(2, moved=2.0), "phase")
    assert last.status is Status.RED
    assert last.drifted == ("mark",)
    assert {one.status for one in others} == {Status.GREEN}


def test_false_alarms_are_shared_among_the_values() -> None:
    """Without drift at most 6 of 100 reports of three slices raise an alarm in any of them."""
    alarms = sum(
        any(one.status is not Status.GREEN for one in by_slice(draw(7), draw(100 + n), "phase"))
        for n in range(100)
    )
    assert alarms <= 6  # at most 2 expected; more than 6 occur for one in 200 seeds


def test_too_few_rows_are_not_compared() -> None:
    """Slices of about ten rows are INCONCLUSIVE."""
    window = draw(2).slice(0, 30)
    assert {one.status for one in by_slice(draw(1), window, "phase")} == {Status.INCONCLUSIVE}


def test_rows_without_a_value_are_a_slice() -> None:
    """Rows without a value form the slice `ausente`, and all rows are counted."""
    table = draw(1)
    gaps = pc.if_else(pc.equal(table["phase"], 2.0), None, table["phase"])
    table = table.set_column(0, "phase", gaps)
    found = by_slice(table, table, "phase")
    assert sorted(one.name for one in found) == ["0", "1", "ausente"]
    assert sum(one.n_window for one in found) == table.num_rows


def test_a_column_of_many_values_is_no_way_to_slice() -> None:
    """A column with too many values is refused by name, without any of its values."""
    with pytest.raises(TableError, match="mark") as refused:
        by_slice(draw(1), draw(2), "mark")
    assert f"{len(draw(1)) * 2} " in str(refused.value), "how many there are"
    assert not re.search(r"\d[.,]\d", str(refused.value))
