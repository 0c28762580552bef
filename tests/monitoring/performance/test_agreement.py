"""Shadow agreement: rows paired by key, the latest of each entity, and consistent counts."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binomtest, spearmanr

from monitoring.pages.shadow_page import ShadowFacts, headline, render
from monitoring.performance.agreement import agree, pair
from monitoring.tracking.about import About

KINDS = {
    "request_id": pa.string(),
    "instance": pa.int64(),
    "timestamp": pa.int64(),
    "entity": pa.string(),
    "score": pa.float64(),
    "label": pa.int64(),
}


def rows(*given: tuple[Any, ...]) -> pa.Table:
    """Return captured rows given as request, instance, time, entity, score, label."""
    columns = list(zip(*given, strict=True)) or [()] * len(KINDS)
    return pa.table(
        {
            name: pa.array(cells, kind)
            for (name, kind), cells in zip(KINDS.items(), columns, strict=True)
        }
    )


def many(n: int, seed: int, shift: float) -> tuple[pa.Table, pa.Table]:
    """Return primary rows, and shadow rows in another order with scores about `shift` higher."""
    rng = np.random.default_rng(seed)
    score = rng.uniform(0.1, 0.8, n)
    other = score + shift + rng.normal(0, 0.02, n)
    answered = rows(
        *((f"r{i // 5}", i % 5, i, None, s, int(s >= 0.5)) for i, s in enumerate(score))
    )
    shadow = rows(*((f"r{i // 5}", i % 5, i, None, s, int(s >= 0.5)) for i, s in enumerate(other)))
    return answered, shadow.take(rng.permutation(n))


def test_the_same_rows_meet_whatever_their_order() -> None:
    """Counts, shift, correlation and p-value equal those of the rows sorted alike."""
    answered, shadow = many(400, 0, 0.1)
    found = agree(pair(answered, shadow))
    score = answered["score"].to_numpy()
    ordered = shadow.sort_by("timestamp")
    other, flags = ordered["score"].to_numpy(), answered["label"].to_numpy()
    flagged = ordered["label"].to_numpy()
    assert found.n_entities == found.n_instances == 400
    assert found.n_only_shadow == int(((flags == 0) & (flagged == 1)).sum())
    assert found.n_only_answered == int(((flags == 1) & (flagged == 0)).sum())
    total = found.n_both + found.n_neither + found.n_only_answered + found.n_only_shadow
    assert total == 400
    assert found.shift.value == pytest.approx((other - score).mean())
    assert found.shift.low < 0.1 < found.shift.high
    assert found.rank_correlation == pytest.approx(spearmanr(score, other).statistic)
    differ = found.n_only_answered + found.n_only_shadow
    expected = binomtest(found.n_only_answered, differ).pvalue
    assert found.p_value == pytest.approx(expected, abs=1e-9)


def test_a_version_beside_itself_agrees() -> None:
    """A version paired with itself has no difference, shift 0 and no p-value."""
    answered, _ = many(50, 1, 0.0)
    found = agree(pair(answered, answered))
    assert found.share_differ.value == found.shift.value == found.mean_distance == 0
    assert found.rank_correlation == pytest.approx(1)
    assert found.p_value is None


def test_the_latest_row_of_an_entity_counts() -> None:
    """An entity scored three times counts once, by its latest row."""
    answered = rows(*((f"r{i}", 0, i, "somebody", 0.6, 1) for i in range(3)))
    shadow = rows(*((f"r{i}", 0, i, "somebody", 0.1 * i, 0) for i in range(3)))
    found = agree(pair(answered, shadow))
    assert (found.n_instances, found.n_entities, found.n_only_answered) == (3, 1, 1)
    assert found.mean_shadow == pytest.approx(0.2)


def test_what_cannot_be_paired_is_left_out() -> None:
    """Rows of one side alone, with a repeated key, or without a score are left out."""
    answered = rows(
        ("a", 0, 1, None, 0.5, 1),
        ("alone", 0, 1, None, 0.5, 1),
        ("twice", 0, 1, None, 0.5, 1),
        ("twice", 0, 2, None, 0.9, 1),
        ("unscored", 0, 1, None, None, None),
    )
    shadow = rows(
        ("a", 0, 1, None, 0.4, 0), ("twice", 0, 1, None, 0.4, 0), ("unscored", 0, 1, None, 0.4, 0)
    )
    assert agree(pair(answered, shadow)).n_entities == 1


def test_nothing_in_common_is_said() -> None:
    """Without common rows the shares are None, and the page names `SHADOW_ALIAS`."""
    nothing = rows().slice(0, 0)
    paired = pair(nothing, nothing)
    found = agree(paired)
    assert found.n_entities == 0
    assert found.share_differ.value is None
    page = render(found, paired, facts())
    assert "SHADOW_ALIAS" in page


def facts() -> ShadowFacts:
    """Return the facts of a shadow report."""
    now = datetime(2026, 3, 2, tzinfo=UTC)
    address = "http://mlflow/#/"
    return ShadowFacts(About("modelo", "v1.3.0", 4, now, now, "run", address, address), "v1.2.0")


def test_the_page_counts_and_names_nobody() -> None:
    """The page has the counts of each side, no script and no entity."""
    answered, shadow = many(200, 2, 0.1)
    people = pa.array([f"{i:064x}" for i in range(200)])
    answered = answered.set_column(3, "entity", people)
    paired = pair(answered, shadow)
    found = agree(paired)
    page = render(found, paired, facts())
    assert f"{found.n_only_shadow} só v1.3.0" in headline(found, facts())
    assert "<script" not in page
    assert "v1.2.0 não sinaliza" in page
    assert f"{7:064x}" not in page
