"""Baseline and comparison: invariants, column kinds, edge cases and error rates."""

import json
import math
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.drift_simulation import HALF_OF_TWO, SCENARIOS, SIZES, share, statuses
from monitoring.drift.baseline import Baseline
from monitoring.drift.comparison import DriftResult, Status, compare
from monitoring.drift.errors import BaselineError, TableError
from monitoring.drift.fitting import fit_baseline


def sample(seed: int = 0, rows: int = 300) -> pa.Table:
    """Draw a table with a column of each kind."""
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "amount": pa.array(rng.normal(10, 2, rows), mask=rng.random(rows) < 0.1),
            "level": pa.array(rng.integers(0, 6, rows)),
            "flag": pa.array(rng.random(rows) < 0.4),
            "group": pa.array(rng.choice(["a", "b", "c"], rows, p=[0.6, 0.3, 0.1])),
            "constant": pa.array(np.full(rows, 3.0)),
            "empty": pa.nulls(rows, pa.float64()),
            "score": pa.array(rng.beta(2, 5, rows)),
        }
    )


def with_column(table: pa.Table, name: str, values: Any) -> pa.Table:
    """Return the table with one column replaced."""
    return table.set_column(table.column_names.index(name), name, pa.array(values))


def numbers(result: DriftResult) -> str:
    """Return strict JSON; a NaN raises ValueError."""
    return json.dumps(result.to_dict(), allow_nan=False)


def column(result: DriftResult, name: str) -> Any:
    """Return the drift of one feature."""
    return next(feature for feature in result.features if feature.name == name)


def test_baseline_against_itself_is_exactly_zero() -> None:
    """The reference compared with itself has PSI 0, delta 0, and is GREEN in every column."""
    table = sample()
    result = compare(fit_baseline(table), table)
    assert result.global_status is Status.GREEN
    for drift in [*result.features, result.score]:
        assert (drift.psi, drift.effect, drift.missing_delta, drift.novel_rows) == (0, 0, 0, 0)
        assert drift.status is Status.GREEN


def test_order_of_rows_and_batches_does_not_matter() -> None:
    """A permuted window in batches gives the same numbers."""
    baseline, window = fit_baseline(sample()), sample(1, 150)
    order = np.random.default_rng(0).permutation(150)
    batches = iter(window.take(order).to_batches(max_chunksize=17))
    first, second = compare(baseline, window).to_dict(), compare(baseline, batches).to_dict()
    assert first["score_drift"].pop("current_mean") == pytest.approx(
        second["score_drift"].pop("current_mean")
    )
    for name in ("amount", "group", "level", "flag"):
        assert first["feature_drift"][name]["psi"] == second["feature_drift"][name]["psi"]


def test_changing_the_unit_does_not_matter() -> None:
    """With quantile bins PSI is unchanged if both sides are rescaled."""
    before, now = sample(), sample(1, 150)
    scaled = [
        with_column(t, "amount", np.array(t["amount"].to_pylist(), float) * 8)
        for t in (before, now)
    ]
    assert column(compare(fit_baseline(before), now), "amount").psi == pytest.approx(
        column(compare(fit_baseline(scaled[0]), scaled[1]), "amount").psi
    )


def test_kinds_are_told_from_the_values() -> None:
    """Numbers of many values are numeric, of few discrete; booleans and strings keep their kind."""
    kinds = {p.name: p.binning.kind for p in fit_baseline(sample()).features}
    assert kinds == {
        "amount": "numeric",
        "level": "discrete",
        "flag": "boolean",
        "group": "categorical",
        "constant": "discrete",
        "empty": "numeric",
    }


def test_baseline_survives_json() -> None:
    """A baseline read back from its JSON, which has no NaN, is equal; truncated JSON is refused."""
    baseline = fit_baseline(sample())
    text = json.dumps(baseline.to_dict(), allow_nan=False)
    assert Baseline.from_json(text.encode()) == baseline
    for cut in (b"", b"[]", b"\xff", text[:-1].encode()):
        with pytest.raises(BaselineError):
            Baseline.from_json(cut)


@pytest.mark.parametrize("damage", [{"format": 99}, {"features": [{"name": "x"}]}, {"extra": 1}])
def test_a_damaged_baseline_is_refused(damage: dict[str, Any]) -> None:
    """A baseline of another format or with invalid fields raises BaselineError."""
    with pytest.raises(BaselineError):
        Baseline.from_dict({**fit_baseline(sample()).to_dict(), **damage})


def test_batches_fit_as_a_table_does() -> None:
    """An iterator of record batches gives the same counts as a table."""
    table = sample()
    first, second = fit_baseline(table), fit_baseline(iter(table.to_batches(max_chunksize=50)))
    assert [p.counts for p in first.features] == [p.counts for p in second.features]


@pytest.mark.parametrize("counts", [["x"], [math.nan]])
def test_counts_that_are_none_are_refused(counts: list[Any]) -> None:
    """Counts that are no numbers raise BaselineError."""
    data = fit_baseline(sample()).to_dict()
    data["features"][0]["counts"] = counts
    with pytest.raises(BaselineError):
        Baseline.from_dict(data)


def test_an_empty_reference_is_refused() -> None:
    """A reference without rows, batches or features raises BaselineError."""
    for reference in (sample().slice(0, 0), iter([]), sample().select(["score"])):
        with pytest.raises(BaselineError):
            fit_baseline(reference)


def test_an_empty_window_is_no_data() -> None:
    """An empty window is NO_DATA, with nulls and without NaN."""
    result = compare(fit_baseline(sample()), iter([]))
    assert result.global_status is Status.NO_DATA
    assert result.to_dict()["feature_drift"]["amount"]["psi"] is None
    assert result.to_dict()["summary"] == {"n_features": 6, "n_red": 0, "n_yellow": 0, "n_green": 0}
    numbers(result)


@pytest.mark.parametrize("rows", [1, 12, 29])
def test_too_few_rows_are_not_green(rows: int) -> None:
    """Too few rows are INCONCLUSIVE, with the number of rows that would suffice for RED."""
    result = compare(fit_baseline(sample()), sample(3, rows))
    assert result.global_status is Status.INCONCLUSIVE
    assert {drift.status for drift in result.features} == {Status.INCONCLUSIVE}
    assert (result.n_current, result.n_needed) == (rows, 30)
    assert compare(fit_baseline(sample()), sample(3, 30)).global_status is Status.GREEN
    numbers(result)


def test_one_row_of_mostly_missing_values_is_not_green() -> None:
    """One row with most inputs missing is INCONCLUSIVE, not GREEN."""
    rows = sample(3, 1)
    for name in ("amount", "level", "flag", "group"):
        rows = rows.set_column(
            rows.column_names.index(name), name, pa.nulls(1, rows.column(name).type)
        )
    assert compare(fit_baseline(sample()), rows).global_status is Status.INCONCLUSIVE


def test_an_alarm_stands_however_few_the_rows() -> None:
    """Twelve values outside the baseline's range are RED; other columns are INCONCLUSIVE."""
    window = with_column(sample(1, 12), "amount", np.full(12, 99.0))
    result = compare(fit_baseline(sample()), window)
    assert result.global_status is Status.RED
    assert column(result, "amount").status is Status.RED
    assert column(result, "level").status is Status.INCONCLUSIVE


def test_a_baseline_of_too_few_rows_can_show_nothing() -> None:
    """Against too small a baseline no window can be RED, so every one is INCONCLUSIVE."""
    result = compare(fit_baseline(sample(0, 20)), sample(1, 500))
    assert (result.global_status, result.n_needed) == (Status.INCONCLUSIVE, None)


@pytest.mark.parametrize("n_baseline", [60, 765])
def test_the_rows_needed_do_show_a_shift(n_baseline: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shift of one standard deviation in `rows_needed` rows is RED with about that power."""
    from benchmarks import drift_simulation
    from monitoring.drift.stats import rows_needed

    monkeypatch.setattr(drift_simulation, "N_BASELINE", n_baseline)
    rows = rows_needed(n_baseline, 30, 0.005, 1.0, 0.80)
    assert rows is not None
    found = share(statuses(SCENARIOS[0], rows, 100, shift=1.0), [Status.RED])
    assert found >= 0.68  # 0.80 less three standard errors of 100 draws


def test_values_outside_the_range_raise_the_alarm() -> None:
    """Rows beyond the baseline's extremes are counted in separate bins, and eight of 60 are RED."""
    window = with_column(sample(1, 60), "amount", np.r_[np.full(8, 99.0), np.full(52, 10.0)])
    drift = column(compare(fit_baseline(sample()), window), "amount")
    assert drift.novel_rows == 8
    assert drift.status is Status.RED


def test_unseen_categories_raise_the_alarm() -> None:
    """A category absent from the baseline is counted separately; a tenth of the rows is RED."""
    window = with_column(sample(1, 100), "group", ["z"] * 10 + ["a"] * 54 + ["b"] * 27 + ["c"] * 9)
    drift = column(compare(fit_baseline(sample()), window), "group")
    assert drift.novel_rows == 10
    assert drift.status is Status.RED


def test_unseen_discrete_values_are_counted_apart() -> None:
    """Values between, below and above the listed ones are counted in separate bins."""
    window = with_column(sample(1, 4), "level", [2.5, -1.0, 9.0, 3.0])
    drift = column(compare(fit_baseline(sample()), window), "level")
    assert drift.novel_rows == 3
    assert drift.current.counts == (1, 0, 0, 0, 1, 0, 0, 1, 1, 0)


def test_every_value_falls_where_its_edges_say() -> None:
    """Counts equal those of a loop over values on the edges, beyond them, infinite and missing."""
    rng = np.random.default_rng(4)
    baseline = fit_baseline(pa.table({"x": np.round(rng.normal(size=500), 2)}))
    points = baseline.features[0].binning.points
    values = [*points, *(p + 1e-9 for p in points), -9.0, 9.0, np.inf, -np.inf, np.nan, None]
    expected = np.zeros(len(points) + 2, dtype=int)
    for value in values:
        if value is None or np.isnan(value):
            expected[-1] += 1
        elif value == points[0]:
            expected[1] += 1
        else:
            expected[sum(value > p for p in points)] += 1
    counts = compare(baseline, pa.table({"x": values})).features[0].current.counts
    assert counts == tuple(expected.tolist())


def test_null_and_nan_are_both_missing() -> None:
    """Null and NaN both count as missing."""
    values = pa.array([1.0, None, float("nan"), 2.0])
    result = compare(fit_baseline(sample()), with_column(sample(1, 4), "amount", values))
    assert column(result, "amount").current.n_missing == 2


def test_a_rising_missing_rate_is_red() -> None:
    """A missing rate that rises from 0.1 to 0.4 is RED by its own threshold."""
    window = sample(1, 200)
    mask = np.random.default_rng(0).random(200) < 0.4
    values = pa.array(np.random.default_rng(1).normal(10, 2, 200), mask=mask)
    drift = column(compare(fit_baseline(sample()), with_column(window, "amount", values)), "amount")
    assert drift.missing_status is Status.RED
    assert drift.missing_delta == pytest.approx(mask.mean() - drift.baseline_missing_rate)


def test_a_column_that_was_empty_and_is_filled_now_is_red() -> None:
    """Values in a column that is all missing in the baseline are RED."""
    window = with_column(sample(1, 50), "empty", np.ones(50))
    assert column(compare(fit_baseline(sample()), window), "empty").status is Status.RED


def test_a_column_that_goes_missing_altogether_is_red() -> None:
    """A column all missing in the window is RED, and its mean is null, not NaN."""
    window = with_column(sample(1, 50), "amount", pa.nulls(50, pa.float64()))
    result = compare(fit_baseline(sample()), window)
    assert column(result, "amount").status is Status.RED
    assert column(result, "amount").current_mean is None
    numbers(result)


def test_a_constant_that_changes_is_red() -> None:
    """Another value of a constant column is RED."""
    window = with_column(sample(1, 50), "constant", np.full(50, 4.0))
    assert column(compare(fit_baseline(sample()), window), "constant").status is Status.RED


def test_infinities_never_reach_the_json() -> None:
    """Infinite values count as out of range and are left out of the mean."""
    window = with_column(sample(1, 50), "amount", np.r_[np.inf, -np.inf, np.full(48, 10.0)])
    result = compare(fit_baseline(sample()), window)
    assert column(result, "amount").novel_rows == 2
    assert column(result, "amount").current_mean == pytest.approx(10.0)
    numbers(result)


def test_dictionary_encoded_and_rare_categories() -> None:
    """Dictionary-encoded text gives PSI 0; categories beyond the fiftieth share a bin."""
    names = [f"c{i:02d}" for i in range(60) for _ in range(60 - i)]
    baseline = fit_baseline(pa.table({"group": names}))
    encoded = pa.table({"group": pa.array(names).dictionary_encode()})
    result = compare(baseline, encoded)
    assert column(result, "group").psi == 0
    assert len(baseline.features[0].counts) == 53


def cities(seed: int, rows: int, kinds: int, first: int = 0) -> pa.Table:
    """Draw a text column with `kinds` equally likely categories."""
    rng = np.random.default_rng(seed)
    return pa.table({"city": [f"c{first + place}" for place in rng.integers(0, kinds, rows)]})


def test_ten_thousand_categories_are_no_drift_and_ten_thousand_new_ones_are() -> None:
    """The same rows have PSI 0, other draws are GREEN, new categories RED with a small report."""
    table = cities(0, 20_000, 10_000)
    baseline = Baseline.from_dict(fit_baseline(table).to_dict())
    same = column(compare(baseline, table), "city")
    assert (same.psi, same.effect, same.novel_rows, same.p_value) == (0, 0, 0, None)
    for seed in range(1, 11):
        fresh = compare(baseline, cities(seed, 2_000, 10_000))
        assert fresh.global_status is Status.GREEN
        assert column(fresh, "city").novel_rows > 0
    for window in (cities(1, 500, 10_000, 10_000), cities(1, 10_000, 10_000, 10_000)):
        new = compare(baseline, window)
        assert new.global_status is Status.RED
        assert column(new, "city").novel_rows == window.num_rows
        assert len(numbers(new)) < 10_000
    few = compare(fit_baseline(cities(0, 2_000, 20)), cities(1, 10_000, 10_000, 20))
    assert (few.global_status, column(few, "city").novel_rows) == (Status.RED, 10_000)


def test_more_categories_than_can_be_listed_are_one_bin() -> None:
    """With a distinct value per row all values share one bin, so no window differs."""
    table = pa.table({"name": [f"n{place}" for place in range(25_000)]})
    result = compare(fit_baseline(table), table)
    assert (column(result, "name").psi, column(result, "name").novel_rows) == (0, 0)
    others = pa.table({"name": [f"m{place}" for place in range(500)]})
    assert compare(fit_baseline(table), others).global_status is Status.GREEN


def test_columns_that_do_not_fit_are_named() -> None:
    """A column that is absent or of another type raises TableError, which names it."""
    baseline = fit_baseline(sample())
    with pytest.raises(TableError, match="amount"):
        compare(baseline, sample().drop_columns(["amount"]))
    with pytest.raises(TableError, match="amount"):
        compare(baseline, with_column(sample(), "amount", ["x"] * 300))
    with pytest.raises(TableError, match="when"):
        fit_baseline(pa.table({"when": pa.array([b"x"], pa.binary())}))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_quiet_when_nothing_happened(scenario: Any) -> None:
    """Without drift, over all sizes, at most 1 % of windows are RED and 5 % raise any alarm."""
    counted = sum((statuses(scenario, rows, 30, seed=11) for rows in SIZES), Counter())
    assert counted.total() == 30 * len(SIZES)
    assert share(counted, [Status.RED]) <= 0.01
    assert share(counted, [Status.YELLOW, Status.RED]) <= 0.05


@pytest.mark.parametrize(("rows", "shift"), [(200, 0.5), (50, 1.0)])
@pytest.mark.parametrize(
    "scenario", [SCENARIOS[0], SCENARIOS[1], SCENARIOS[3]], ids=lambda s: s.name
)
def test_loud_when_one_feature_shifts(scenario: Any, rows: int, shift: float) -> None:
    """A shift of one of 14 features is at least YELLOW in nine of ten windows."""
    counted = statuses(scenario, rows, 100, shift=shift, seed=12)
    assert share(counted, [Status.YELLOW, Status.RED]) >= 0.90


def test_loud_when_two_values_change_places() -> None:
    """A binary feature moved from 50 % to 75 %, half its sd, is detected in nine of ten windows."""
    counted = statuses(SCENARIOS[5], 200, 100, shift=HALF_OF_TWO, seed=12)
    assert share(counted, [Status.YELLOW, Status.RED]) >= 0.90


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_error_rates_over_many_draws(scenario: Any) -> None:
    """Without drift, for each size, at most 1 % of windows are RED and 5 % raise any alarm."""
    for rows in SIZES:
        counted = statuses(scenario, rows, 400, seed=13)
        assert share(counted, [Status.RED]) <= 0.01
        assert share(counted, [Status.YELLOW, Status.RED]) <= 0.05


def test_a_surer_score_is_not_outside_of_anything() -> None:
    """Probabilities beyond the reference's scores fall in the outer bins and are not novel."""
    rng = np.random.default_rng(5)
    seen, x = rng.uniform(0.05, 0.95, 765), rng.normal(size=765)
    baseline = fit_baseline(pa.table({"x": x, "score": seen}))
    now = np.where(seen > 0.9, 0.99, seen)
    result = compare(baseline, pa.table({"x": x, "score": now}))
    assert result.score is not None
    assert (result.score.novel_rows, result.score.psi) == (0, 0)
    # A feature's range is that of the reference; so is that of scores that are no probabilities.
    for name, change in (("x", 0.0), ("score", 3.0)):
        table = pa.table({"x": x, "score": seen + change})
        changed = {"x": x, "score": seen + change}
        changed[name] = changed[name] + 10
        result = compare(fit_baseline(table), pa.table(changed))
        found = result.score if name == "score" else result.features[0]
        assert found is not None
        assert found.novel_rows == 765
