"""Stems of replaced files in the footer of a compacted one, their lifetime; memory of a merge."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.store.filesystem import Store
from core.store.listing import list_store
from core.store.quarantine import FOLDER
from core.store.quarantined import REASON_SUFFIX, Quarantined
from core.store.schema import REPLACED_KEY
from core.upkeep import compaction
from core.upkeep.compaction import FORGET_DAYS, compact
from core.upkeep.merging import write_merged
from serving.capture.parquet import convert
from tests.core.upkeep.test_compaction import fill, rows, temperatures

LATER = timedelta(days=FORGET_DAYS + 3)


def remembered(store: Store) -> list[str]:
    """Return the stems in the footer of the store's one live file."""
    (merged,) = list_store(store).live
    with store.parquet(merged) as file:
        named: list[str] = json.loads(file.metadata.metadata[REPLACED_KEY])
        return named


def test_stems_are_forgotten_once_their_files_are_gone(place: Any, writer: Any) -> None:
    """Stems are dropped after thirty days and once their files are deleted; rows count once."""
    store, upload = place
    stems = sorted(path.stem for path in fill(writer, 3))
    upload()
    now = datetime.now(UTC)
    compact(store)
    compact(store, today=now + LATER)
    assert remembered(store) == stems
    compact(store, keep_minutes=0)
    compact(store)
    assert remembered(store) == stems
    compact(store, today=now + LATER)
    assert remembered(store) == []
    assert temperatures(store) == [float(n) for n in range(30)]
    before = store.files()
    compact(store, today=now + LATER)
    assert store.files() == before


def test_late_files_are_remembered_by_a_file_that_forgot(writer: Any) -> None:
    """A late merge lists the late file and the compacted file that it was merged with."""
    now = datetime.now(UTC)
    fill(writer, 2)
    compact(writer.store)
    compact(writer.store, keep_minutes=0)
    compact(writer.store, today=now + LATER)
    (first,) = list_store(writer.store).live
    (late,) = fill(writer, 1)
    compact(writer.store, today=now + LATER)
    assert sorted(remembered(writer.store)) == sorted([first.stem, late.stem])
    assert len(temperatures(writer.store)) == 30


def test_a_stem_whose_journal_is_here_is_remembered(writer: Any) -> None:
    """A stem stays while its journal exists, so a late restart of its proxy adds no row twice."""
    now = datetime.now(UTC)
    journal = writer.journal(rows(10), age=timedelta(days=2))
    writer.parquet(journal, keep_journal=True)
    fill(writer, 1, days=2)
    compact(writer.store)
    compact(writer.store, keep_minutes=0)
    compact(writer.store, today=now + LATER)
    assert remembered(writer.store) == [journal.stem]
    convert(journal, writer.store)
    assert len(temperatures(writer.store)) == 20
    compact(writer.store, today=now + LATER)
    assert remembered(writer.store) == []


def test_a_stem_in_quarantine_is_remembered(writer: Any) -> None:
    """The stem of a quarantined file stays, so that once put back it adds no row twice."""
    aside, *others = fill(writer, 3)
    compact(writer.store)
    folder = writer.folder / FOLDER
    folder.mkdir()
    reason = folder / f"{aside.name}{REASON_SUFFIX}"
    reason.write_text(Quarantined(aside.name, "damaged", 10).record())
    aside.rename(folder / aside.name)
    compact(writer.store, keep_minutes=0)
    compact(writer.store, today=datetime.now(UTC) + LATER)
    assert not any(path.exists() for path in others)
    assert remembered(writer.store) == [aside.stem]
    (folder / aside.name).rename(aside)
    assert temperatures(writer.store) == [float(n) for n in range(30)]


def test_a_crash_while_forgetting_changes_nothing(
    writer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash while the footer is rewritten leaves the old file; the next run finishes."""
    fill(writer)
    compact(writer.store)
    compact(writer.store, keep_minutes=0)
    (merged,) = list_store(writer.store).live
    before = merged.read_bytes()

    def die(*_: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(Path, "replace", die)
        compact(writer.store, today=datetime.now(UTC) + LATER)
    assert merged.read_bytes() == before
    compact(writer.store, today=datetime.now(UTC) + LATER)
    assert remembered(writer.store) == []
    assert temperatures(writer.store) == [float(n) for n in range(40)]


def test_a_footer_names_each_stem_once(writer: Any) -> None:
    """A stem is stored under the footer's own key, not again in Arrow's copy of the schema."""
    stem = fill(writer)[0].stem.encode()
    compact(writer.store)
    (merged,) = list_store(writer.store).live
    footer = pq.read_metadata(merged).metadata
    assert stem in footer[REPLACED_KEY]
    assert merged.read_bytes().count(stem) == 1


def test_memory_does_not_grow_with_the_number_of_files(writer: Any) -> None:
    """Buffers of one-row files are freed whenever some hundred files are joined."""
    source = writer.parquet(writer.journal(rows(1), age=timedelta(days=2)))
    sources = [source]
    for number in range(1199):
        sources.append(source.with_name(f"{source.stem}-{number}.parquet"))
        sources[-1].hardlink_to(source)
    held: list[int] = []
    write_merged(
        writer.store, "merged", sources, [], lambda: held.append(pa.total_allocated_bytes())
    )
    assert len(held) == len(sources)
    assert max(held[600:]) < 1.3 * max(held[:600])
    assert pq.read_metadata(writer.folder / "merged.parquet").num_rows == 1200


def test_each_file_is_a_sign_of_life(writer: Any) -> None:
    """`step` is called twice for each file: when it is examined and when it is merged."""
    fill(writer, 5)
    steps: list[int] = []
    compaction.compact(writer.store, step=lambda: steps.append(1))
    assert len(steps) == 2 * 5
