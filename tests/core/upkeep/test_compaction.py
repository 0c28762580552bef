"""Compaction: fewer files and the same rows, also for concurrent readers."""

import fcntl
import json
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from core.captured.reader import Captures
from core.captured.selection import Selection
from core.files import whole
from core.store.errors import FileDamaged, StoreBusy
from core.store.filesystem import Store
from core.store.listing import list_store
from core.store.schema import REPLACED_KEY
from core.upkeep.compaction import Compaction, compact
from monitoring.compact import main
from serving.capture.parquet import collect, convert
from tests.stored import flip_a_page

FEATURES = {"temperature": "double", "pressure": "double", "wear": "double"}
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)


def rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Return rows with distinct temperatures."""
    return [
        {"temperature": float(i), "pressure": None, "wear": 1.0, "score": 0.5}
        for i in range(start, start + count)
    ]


def fill(writer: Any, files: int = 4, days: int = 2, **options: Any) -> list[Path]:
    """Write Parquet files of ten rows each, all of one past day; return their paths."""
    now = datetime.now(UTC)
    return [
        writer.parquet(
            writer.journal(
                rows(10, 10 * n), age=now - NOON + timedelta(days=days, seconds=-n), **options
            )
        )
        for n in range(files)
    ]


def temperatures(store: Store, number: int = 1) -> list[float]:
    """Return the temperatures that a monitoring job reads of one version."""
    now = datetime.now(UTC)
    selection = Selection("modelo", number, now - timedelta(days=30), now + timedelta(days=1))
    batches = Captures(store, selection, FEATURES).batches()
    return [value for batch in batches for value in batch.column("temperature").to_pylist()]


def test_a_days_files_become_one_and_read_the_same(writer: Any) -> None:
    """The merged file has all columns and rows; a later run deletes the replaced files."""
    sources = fill(writer)
    everything = pd.concat([pd.read_parquet(path) for path in sources], ignore_index=True)
    assert compact(writer.store) == Compaction(merged=4, written=1, removed=0)
    (merged,) = list_store(writer.store).live
    pd.testing.assert_frame_equal(pd.read_parquet(merged), everything)
    assert pq.read_schema(merged).remove_metadata() == pq.read_schema(sources[0]).remove_metadata()
    assert merged.name[:16] == sources[0].name[:16]
    assert temperatures(writer.store) == [float(n) for n in range(40)]
    assert all(path.exists() for path in sources)
    assert compact(writer.store) == Compaction(0, 0, 0)
    assert compact(writer.store, keep_minutes=0) == Compaction(0, 0, removed=4)
    assert sorted(writer.folder.glob("*.parquet")) == [merged]
    assert temperatures(writer.store) == [float(n) for n in range(40)]


def test_only_what_belongs_together_is_merged(writer: Any) -> None:
    """Only files of one day, version, model and role are merged; today's are left alone."""
    fill(writer, 2)
    fill(writer, 2, days=3)
    fill(writer, 2, number=2)
    fill(writer, 2, model="outro")
    fill(writer, 2, role="shadow")
    today = [writer.parquet(writer.journal(rows(1), age=timedelta())) for _ in range(2)]
    assert compact(writer.store) == Compaction(merged=10, written=5, removed=0)
    live = list_store(writer.store).live
    assert len(live) == 7
    assert set(today) <= set(live)
    for path in live:
        frame = pd.read_parquet(path)
        for column in ("model_name", "registry_version", "role"):
            assert frame[column].nunique() == 1


def test_changed_columns_stay_apart(writer: Any) -> None:
    """Files of one version with two schemas (as of two joined stores) are merged separately."""
    fill(writer, 2)
    writer.features = {"temperature": "double"}
    fill(writer, 2)
    assert compact(writer.store).written == 2


def test_late_files_join_what_was_compacted(writer: Any) -> None:
    """Each run merges late files into the one file, whose footer keeps all earlier sources."""
    sources = [path.stem for path in fill(writer, 2)]
    for late in range(4):
        compact(writer.store)
        sources += [path.stem for path in fill(writer, 1)]
        assert compact(writer.store) == Compaction(merged=2, written=1, removed=0)
        store = list_store(writer.store)
        assert len(store.live) == 1
        assert set(sources) <= set(store.replaced)
        assert set(store.replaced.values()) == set(store.live)
        assert len(temperatures(writer.store)) == 30 + 10 * late
    compact(writer.store, keep_minutes=0)
    assert sorted(writer.folder.glob("*.parquet")) == list(store.live)


@pytest.mark.parametrize("moment", ["replace", "sync"])
def test_a_crash_is_mended_by_the_next_run(
    writer: Any, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """After a crash before or right after the rename rows count once, and the next run finishes."""
    fill(writer)

    def die(*_: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(Path if moment == "replace" else whole, moment, die)
        compact(writer.store)
    assert temperatures(writer.store) == [float(n) for n in range(40)]
    compact(writer.store)
    compact(writer.store, keep_minutes=0)
    assert len(list(writer.folder.glob("*.parquet"))) == 1
    assert not list(writer.folder.glob(".*.tmp"))
    assert temperatures(writer.store) == [float(n) for n in range(40)]


def test_readers_at_work_see_every_row_once(place: Any, writer: Any) -> None:
    """Concurrent readers count every row exactly once during a compaction."""
    store, upload = place
    for days in range(2, 5):
        fill(writer, 6, days=days)
    upload()
    wrong: list[int] = []
    looks: list[int] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            if (count := len(temperatures(store))) != 3 * 60:
                wrong.append(count)
            looks.append(count)

    readers = [threading.Thread(target=look) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        assert compact(store).written == 3
        assert compact(store).written == 0
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert not wrong
    assert looks


def test_a_journal_that_outlived_its_file_counts_once(writer: Any) -> None:
    """A journal whose Parquet file was compacted before the proxy restarted counts once."""
    now = datetime.now(UTC)
    journal = writer.journal(rows(10), age=now - NOON + timedelta(days=2))
    writer.parquet(journal, keep_journal=True)
    fill(writer, 1)
    compact(writer.store)
    compact(writer.store, keep_minutes=0)
    assert len(temperatures(writer.store)) == 20
    convert(journal, writer.store)
    assert not journal.exists()
    assert len(list(writer.folder.glob("*.parquet"))) == 1
    assert len(temperatures(writer.store)) == 20


def test_a_journal_waits_for_a_damaged_compacted_file(writer: Any) -> None:
    """A sound journal stays while the compacted file that may have its rows is damaged."""
    now = datetime.now(UTC)
    fill(writer)
    compact(writer.store)
    (merged,) = writer.folder.glob("*compacted*")
    journal = writer.journal(rows(10), age=now - NOON + timedelta(days=2))
    sound = merged.read_bytes()
    merged.write_bytes(sound[:-40])
    ((path, error),) = collect(writer.store)
    assert (path, journal.exists()) == (journal, True)
    assert isinstance(error, FileDamaged) and error.facts["path"] == merged
    assert not list(journal.parent.glob("quarantine/*"))
    merged.write_bytes(sound)
    assert list(collect(writer.store)) == [(journal, None)]
    assert len(temperatures(writer.store)) == 50


def test_two_at_once_are_refused(writer: Any) -> None:
    """A compaction of a store that another job holds is rejected and changes nothing."""
    fill(writer)
    fd = os.open(writer.folder / ".compact.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        with pytest.raises(StoreBusy, match="em andamento"):
            compact(writer.store)
    finally:
        os.close(fd)
    assert compact(writer.store).written == 1


def test_what_is_sound_is_merged_around_a_damaged_file(writer: Any) -> None:
    """A damaged file is quarantined and named; the others of its day are merged, no row twice."""
    damaged = fill(writer)[1]
    flip_a_page(damaged)
    done = compact(writer.store)
    assert (done.merged, done.written) == (3, 1)
    assert [(one.name, one.rows) for one in done.quarantined] == [(damaged.name, 10)]
    kept = [float(n) for n in range(40) if not 10 <= n < 20]
    assert temperatures(writer.store) == kept
    compact(writer.store, keep_minutes=0)
    assert temperatures(writer.store) == kept


def test_originals_stay_until_what_replaced_them_can_be_read(writer: Any) -> None:
    """A damaged compacted file is quarantined, and the files that it replaced count again."""
    fill(writer)
    compact(writer.store)
    (merged,) = writer.folder.glob("*compacted*")
    flip_a_page(merged)
    done = compact(writer.store, keep_minutes=0)
    assert [one.name for one in done.quarantined] == [merged.name]
    assert (done.removed, done.merged) == (0, 4)
    assert temperatures(writer.store) == [float(n) for n in range(40)]


def test_the_command_says_what_it_did(
    writer: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The command prints its result in Portuguese; a missing folder is an error."""
    fill(writer)
    assert main(["--inference_store", str(writer.folder)]) == 0
    assert "4 arquivos juntados em 1" in capsys.readouterr().out
    assert main(["--inference_store", str(tmp_path / "none")]) == 1
    assert "não existe" in capsys.readouterr().err


def test_the_footer_lists_the_sources(writer: Any) -> None:
    """The footer of a compacted file lists the stems of its sources as JSON."""
    stems = sorted(path.stem for path in fill(writer, 2))
    compact(writer.store)
    (merged,) = list_store(writer.store).live
    footer = pq.read_metadata(merged).metadata
    assert json.loads(footer[REPLACED_KEY]) == stems
