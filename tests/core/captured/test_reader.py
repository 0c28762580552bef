"""Reading of the inference store: every served row of one version exactly once."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.captured.latest import LatestPerEntity
from core.captured.reader import Captures
from core.captured.selection import Selection
from core.contract.columns import probability_columns
from core.store.errors import StoreChanged
from core.store.filesystem import Store

ROWS = [
    {"temperature": float(i), "pressure": None if i % 3 else 1.5, "wear": 1.0, "score": i / 100}
    for i in range(25)
]
FEATURES = {"temperature": "double", "pressure": "double", "wear": "double"}


def read(folder: Path, *, days: int = 7, features: Mapping[str, str] = FEATURES) -> Any:
    """Read version 1 of `modelo`; return the reader and the rows."""
    now = datetime.now(UTC)
    captures = Captures(
        Store(folder), Selection("modelo", 1, now - timedelta(days=days), now), features
    )
    rows = [row for batch in captures.batches() for row in batch.to_pylist()]
    return captures, rows


def test_journals_and_parquet_give_the_same_rows(writer: Any) -> None:
    """A journal and its Parquet file yield equal, typed rows in order: features and score."""
    journal = writer.journal(ROWS)
    captures, before = read(writer.folder)
    assert before == ROWS
    assert (captures.n_instances, captures.n_requests) == (25, 3)
    writer.parquet(journal)
    captures, after = read(writer.folder)
    assert after == ROWS
    assert (captures.n_instances, captures.n_requests) == (25, 3)


def test_a_journal_beside_its_parquet_counts_once(writer: Any) -> None:
    """Rows of a journal that exists beside its Parquet file are counted once."""
    writer.parquet(writer.journal(ROWS), keep_journal=True)
    writer.journal(ROWS[:5])
    captures, rows = read(writer.folder)
    assert captures.n_instances == len(rows) == 30


def test_a_journal_converted_while_reading_is_read_once(
    writer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal that is converted after it was listed is read from its Parquet file."""
    import core.captured.sources as module

    genuine = module.read_whole

    def converted_meanwhile(path: Path) -> Any:
        writer.parquet(path)
        return genuine(path)

    writer.journal(ROWS)
    monkeypatch.setattr(module, "read_whole", converted_meanwhile)
    captures, _ = read(writer.folder)
    assert captures.n_instances == 25


def test_a_truncated_last_line_is_left_out(writer: Any) -> None:
    """A truncated last line is skipped: the process ended before it sent that response."""
    journal = writer.journal(ROWS)
    journal.write_bytes(journal.read_bytes()[:-7])
    captures, _ = read(writer.folder)
    assert captures.n_instances == 24


def test_only_the_versions_own_answers_in_the_window(writer: Any) -> None:
    """Rows of other versions and models, shadow scores and older rows are left out."""
    for options in (
        {"number": 2},
        {"model": "outro"},
        {"role": "shadow"},
        {"age": timedelta(days=8)},
    ):
        writer.journal(ROWS, **options)
        writer.parquet(writer.journal(ROWS, **options))
    writer.parquet(writer.journal(ROWS[:3]))
    captures, _ = read(writer.folder)
    assert captures.n_instances == 3


def test_what_a_list_was_answered_counts_as_any_answer(writer: Any) -> None:
    """Rows of the role `batch` (scored lists) count, in journals and in Parquet files."""
    writer.journal(ROWS[:5], role="batch")
    writer.parquet(writer.journal(ROWS[5:9], role="batch"))
    writer.journal(ROWS[9:11])
    captures, _ = read(writer.folder)
    assert captures.n_instances == 11


def test_versions_with_other_columns_share_a_store(writer: Any) -> None:
    """A file of a version with other features does not affect the rows of this one."""
    other = type(writer)(writer.folder, {"speed": "double"})
    other.parquet(other.journal([{"speed": 1.0, "score": 0.1}], number=2))
    writer.parquet(writer.journal(ROWS))
    _, rows = read(writer.folder)
    assert rows == ROWS


def test_an_absent_store_is_empty(tmp_path: Path) -> None:
    """A store without a folder yields no rows and raises no error."""
    captures, rows = read(tmp_path / "nowhere")
    assert rows == []
    assert captures.n_requests == 0


def test_a_damaged_journal_is_named_without_its_values(writer: Any) -> None:
    """Journals with a broken line or a wrong type are reported by name only; others are read."""
    writer.journal(ROWS)
    broken = writer.journal(ROWS)
    broken.write_bytes(broken.read_bytes() + b'["segredo", broken\n')
    foreign = writer.journal([{**ROWS[0], "temperature": "segredo"}])
    captures, rows = read(writer.folder)
    assert rows == ROWS
    named = {one.name: one.rows for one in captures.quarantined}
    assert named == {broken.name: 26, foreign.name: 1}
    assert "segredo" not in " ".join(map(str, captures.quarantined))
    assert not broken.exists()


def test_journals_may_lie_elsewhere(writer: Any, tmp_path: Path) -> None:
    """Journals in a folder outside the store are read from that folder."""
    journal = writer.journal(ROWS)
    elsewhere = tmp_path / "elsewhere"
    journal.parent.rename(elsewhere)
    now = datetime.now(UTC)
    selection = Selection("modelo", 1, now - timedelta(days=1), now)
    captures = Captures(Store(writer.folder, elsewhere), selection, FEATURES)
    assert sum(batch.num_rows for batch in captures.batches()) == 25


def scored(entity: str | None, score: float) -> dict[str, Any]:
    """Return a scored row of an entity."""
    return {"temperature": 1.0, "pressure": None, "wear": 1.0, "score": score, "entity": entity}


def test_the_latest_row_of_each_entity_counts(writer: Any) -> None:
    """Only the latest row of each entity counts, across files; rows without an entity all count."""
    for hours in range(10, 0, -1):
        rows = [scored("a", hours / 10), scored(None, 0.5)]
        journal = writer.journal(rows, age=timedelta(hours=hours))
        if hours % 2:
            writer.parquet(journal)
    writer.journal([scored("b", 0.7), scored("b", 0.8)], age=timedelta(hours=30))
    captures, rows = read(writer.folder)
    scores = sorted(row["score"] for row in rows)
    assert scores == sorted([0.1, 0.8, *[0.5] * 10])
    assert (captures.n_instances, captures.n_entities, captures.n_requests) == (22, 12, 11)


def test_only_the_versions_own_scorings_in_the_window_compete(writer: Any) -> None:
    """Rows of another version or before the window do not replace an entity's latest row."""
    writer.parquet(writer.journal([scored("a", 0.1)], age=timedelta(days=9)))
    writer.parquet(writer.journal([scored("a", 0.2)], age=timedelta(days=2)))
    writer.parquet(writer.journal([scored("a", 0.3)], number=2))
    _, rows = read(writer.folder)
    assert [row["score"] for row in rows] == [0.2]


def test_without_entities_nothing_is_read_twice(
    writer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store without entities is read in one pass, without `LatestPerEntity`."""
    import core.captured.reader as module

    monkeypatch.setattr(module, "LatestPerEntity", lambda: pytest.fail("looked for entities"))
    writer.parquet(writer.journal(ROWS))
    writer.journal(ROWS)
    captures, _ = read(writer.folder)
    assert captures.n_instances == captures.n_entities == 50


def test_extra_columns_come_along(writer: Any) -> None:
    """Columns of the store can be requested besides features and score."""
    writer.parquet(writer.journal([{**scored("a", 0.9), "label": 1}]))
    now = datetime.now(UTC)
    selection = Selection("modelo", 1, now - timedelta(days=1), now)
    captures = Captures(writer.store, selection, FEATURES)
    (batch,) = captures.batches(("label",))
    assert batch.column("label").to_pylist() == [1]
    assert [name for name in batch.schema.names if name not in FEATURES] == ["score", "label"]


def test_many_files_are_read_a_few_at_a_time(writer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one open file at a time, rows and order are the same and a damaged file is left out."""
    files = [
        writer.parquet(writer.journal([scored(f"{name}{i}", 0.5) for i in range(3)]))
        for name in "abc"
    ]
    together = read(writer.folder)[1]
    monkeypatch.setattr("core.captured.sources._FILES_AT_ONCE", 1)
    captures, apart = read(writer.folder)
    assert apart == together
    assert captures.n_entities == 9
    files[1].write_bytes(b"PAR1 damaged")
    captures, sound = read(writer.folder)
    assert sound == [*together[:3], *together[6:]]
    assert [one.name for one in captures.quarantined] == [files[1].name]


@pytest.mark.parametrize("width", [2, 64])
@pytest.mark.parametrize("fold", [1, 7, 10**6])
def test_latest_per_entity_equals_a_dictionary(
    fold: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For any fold size the kept rows equal those of a plain loop over a dictionary."""
    monkeypatch.setattr("core.captured.latest._FOLD_ROWS", fold)
    rng = np.random.default_rng(3)
    stamps = rng.integers(0, 50, 600)
    # Pseudonyms have 64 digits; texts of other lengths are hashed by pandas.
    names = [
        None if rng.random() < 0.2 else f"{rng.integers(0, 40):0{width - i % 3 // 2}x}"
        for i, _ in enumerate(stamps)
    ]
    best: dict[str, int] = {}
    for place, (name, stamp) in enumerate(zip(names, stamps, strict=True)):
        if name is not None and (name not in best or stamp >= stamps[best[name]]):
            best[name] = place
    latest = LatestPerEntity()
    for start in range(0, 600, 13):
        part = slice(start, start + 13)
        latest.add(pa.array(names[part], pa.string()), pa.array(stamps[part]))
    expected = {place for place, name in enumerate(names) if name is None} | set(best.values())
    assert set(np.flatnonzero(latest.kept())) == expected


@pytest.mark.parametrize("size", [1, 5])
def test_a_file_replaced_between_the_passes_is_said(
    writer: Any, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """A file replaced between the two passes that entities need raises StoreChanged."""
    path = writer.parquet(writer.journal([scored(name, 0.5) for name in "abc"]))
    genuine = LatestPerEntity.kept

    def replaced_meanwhile(latest: LatestPerEntity) -> Any:
        other = writer.parquet(writer.journal([scored(None, 0.5)] * size))
        other.replace(path)
        return genuine(latest)

    monkeypatch.setattr(LatestPerEntity, "kept", replaced_meanwhile)
    with pytest.raises(StoreChanged, match="repita o comando"):
        read(writer.folder)


def test_files_of_other_days_and_versions_are_not_opened(writer: Any) -> None:
    """Files whose names state another day or version than the selection are not opened."""
    writer.parquet(writer.journal(ROWS))
    for stem in ("20200101T000000.000000Z-v1-x", f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-v2-x"):
        (writer.folder / f"{stem}.parquet").write_bytes(b"not opened, so never missed")
    captures, rows = read(writer.folder)
    assert (rows, captures.quarantined) == (ROWS, ())


def test_rows_before_and_after_the_period_was_stored(writer: Any) -> None:
    """A file without the column `period` yields null periods beside a file that has it."""
    old = writer.parquet(writer.journal(ROWS[:2]))
    pq.write_table(pq.read_table(old).drop_columns(["period"]), old)
    writer.parquet(writer.journal([{**ROWS[2], "period": 2024}]))
    now = datetime.now(UTC)
    selection = Selection("modelo", 1, now - timedelta(days=1), now)
    captures = Captures(writer.store, selection, FEATURES)
    periods = [p for batch in captures.rows(["period"]) for p in batch.column(0).to_pylist()]
    assert periods == [None, None, 2024]
    assert captures.quarantined == ()


def test_probabilities_of_classes_are_null_in_files_written_before_them(writer: Any) -> None:
    """Files written without columns of class probabilities yield nulls beside files with them."""
    kept = probability_columns(3)
    writer.parquet(writer.journal(ROWS[:5], age=timedelta(hours=3)))
    writer.journal(ROWS[5:10], age=timedelta(hours=3))
    writer.features = {**FEATURES, **kept}
    rows = [{**row, **dict.fromkeys(kept, 0.25)} for row in ROWS[10:]]
    writer.parquet(writer.journal(rows[:5], age=timedelta(hours=2)))
    writer.journal(rows[5:])
    now = datetime.now(UTC)
    selection = Selection("modelo", 1, now - timedelta(days=1), now)
    captures = Captures(writer.store, selection, FEATURES, classes=3)
    found = [row for batch in captures.batches(tuple(kept)) for row in batch.to_pylist()]
    assert sorted(row["score"] for row in found) == [row["score"] for row in ROWS]
    for row in found:
        assert [row[name] for name in kept] == [None if row["score"] < 0.1 else 0.25] * 3
    assert not captures.quarantined
    assert read(writer.folder)[1][0].keys() == ROWS[0].keys()
