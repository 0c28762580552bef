"""Results of replayed rows, computed by hand, and their page."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.contract.model import CLASSES, VALUE
from core.store.arrow_types import ARROW_TYPES
from monitoring.pages.rehearsal_page import RehearsalFacts, headline, render
from monitoring.replay.changes import listed
from monitoring.replay.replaying import empty
from monitoring.replay.result import MOST_GROUPS, Names, measure
from monitoring.tracking.about import About

NOW = datetime(2026, 11, 27, 8, tzinfo=UTC)
ABOUT = About("m", "v1.1.0", 2, None, NOW, "r", "http://mlflow/#/x/runs/r", "http://mlflow/#/v")
FACTS = RehearsalFacts(ABOUT, "v1.0.0", as_answered=False, served=True, changes=None)
BINARY = Names()


def replayed(n: int, **columns: Any) -> pa.Table:
    """Return n replayed rows of these columns, null in the others, entity included."""
    schema = empty(["phase"]).schema
    given = {"request_id": [f"r{i}" for i in range(n)], "instance": [0] * n, **columns}
    given.setdefault("timestamp", pa.array([NOW] * n, ARROW_TYPES["timestamp"]))
    columns = [pa.array(given.get(field.name, [None] * n), field.type) for field in schema]
    return pa.table(columns, schema=schema)


def flagging() -> pa.Table:
    """Return 40 rows of which the candidate flags 3 more and drops 2 flags."""
    before = np.repeat([0.2, 0.8], 20)
    after = before.copy()
    after[:3], after[20:22] = 0.9, 0.1
    phase = ["2"] * 20 + ["10"] * 15 + ["1"] * 5
    return replayed(
        40,
        score=before,
        label=(before >= 0.5).astype(int),
        shadow_score=after,
        shadow_label=(after >= 0.5).astype(int),
        **{"@phase": phase},
    )


def rendered() -> str:
    """Return the page of a rehearsal on `flagging()`."""
    found, compared, _changed = measure(flagging(), "", BINARY, ["phase"], 55)
    return render(found, compared, FACTS)


def test_flags_change_in_both_directions_and_by_group() -> None:
    """Gained and lost flags are counted in all and by group; small groups are pooled."""
    found, _compared, changed = measure(flagging(), "", BINARY, ["phase"], 55)
    assert (found.n_instances, found.n_rows, found.n_compared, found.n_changed) == (55, 40, 40, 5)
    assert (found.agreement.n_only_shadow, found.agreement.n_only_answered) == (3, 2)
    groups = found.groups["phase"]
    assert [(one.name, one.n, one.changed, one.gained, one.lost) for one in groups] == [
        ("2", 20, 3, 3, 0),
        ("10", 15, 2, 0, 2),
        ("outros", 5, None, None, None),
    ]
    assert (groups[0].before, groups[0].after) == (0.0, pytest.approx(0.15))
    assert changed["request_id"].to_pylist() == ["r0", "r1", "r2", "r20", "r21"]
    # The expected positive rate is the mean score: half at 0.2, half at 0.8.
    assert found.before is not None
    assert found.before.estimates()["positive_rate"].value == pytest.approx(0.5)
    page = rendered()
    for text in ("3 sinalizadas a mais, 2 a menos", "Por phase", "outros"):
        assert text in page


def test_of_many_values_the_most_frequent_are_named() -> None:
    """Only the `MOST_GROUPS` most frequent values are named; the others are pooled."""
    n = 20 * (MOST_GROUPS + 10)
    phase = [f"p{i % (MOST_GROUPS + 10)}" for i in range(n)]
    zeros = {name: [0] * n for name in ("score", "label", "shadow_score", "shadow_label")}
    found, _compared, _changed = measure(
        replayed(n, **zeros, **{"@phase": phase}), "", BINARY, ["phase"], n
    )
    *named, others = found.groups["phase"]
    assert {one.n for one in named} == {20}
    assert (len(named), others.name, others.n) == (MOST_GROUPS, "outros", 200)
    assert sum(one.n for one in found.groups["phase"]) == n


def test_classes_are_compared_by_name_whatever_their_order() -> None:
    """Classes are compared by name if the two versions order them differently."""
    names = Names(("low", "high"), ("high", "low"))
    answered, other = [0] * 15 + [1] * 15, [1] * 15 + [0] * 15
    other[4] = 0
    rows = replayed(30, label=answered, shadow_label=other)
    found, _compared, changed = measure(rows, CLASSES, names, [], 30)
    assert (found.n_compared, found.n_changed) == (30, 1)
    table = listed(changed, CLASSES, names)
    assert table["label_before"].to_pylist() == ["low"]
    assert table["label_after"].to_pylist() == ["high"]
    assert "1 com outra classe" in headline(found, FACTS)


def test_numbers_are_compared_by_distance() -> None:
    """Regressions have MAE and bias, and each row that differs is listed with its difference."""
    before = np.arange(20.0)
    rows = replayed(20, score=before, shadow_score=before + np.repeat([0.0, 2.0], 10))
    found, _compared, changed = measure(rows, VALUE, BINARY, [], 20)
    assert found.agreement.mae == found.agreement.shift.value == 1.0  # type: ignore[union-attr]
    assert set(listed(changed, VALUE, BINARY)["difference"].to_pylist()) == {2.0}
    assert changed.num_rows == 10
    assert (found.before, found.after) == (None, None)
    assert "viés de 1,000" in headline(found, FACTS)


def test_refused_rows_are_not_compared() -> None:
    """A refused row with two problems counts once as refused, and once for each problem."""
    refused = ["a: out of range; b: null", "a: out of range", None, None]
    rows = replayed(
        4,
        score=[0.1] * 4,
        label=[0] * 4,
        shadow_score=[None, None, 0.1, 0.1],
        shadow_label=[None, None, 0, 0],
        refused=refused,
    )
    found, compared, _changed = measure(rows, "", BINARY, [], 4)
    assert (found.refused, found.n_compared) == (2, 2)
    assert dict(found.reasons) == {"a: out of range": 2, "b: null": 1}
    page = render(found, compared, FACTS)
    assert "recusa 2 de 4 linhas" in page
    assert "a: out of range" in page


def test_no_row_is_no_agreement() -> None:
    """Without rows the share of changes is None, and the page states it."""
    found, compared, _changed = measure(empty(["phase"]), "", BINARY, ["phase"], 0)
    assert (found.n_rows, found.share_changed, found.before) == (0, None, None)
    assert "não há linha capturada" in render(found, compared, FACTS)
