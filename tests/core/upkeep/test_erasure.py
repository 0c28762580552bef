"""Erasure of rows from every file and journal of a store, in a folder and in a bucket."""

import fcntl
import json
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from core.captured.reader import Captures
from core.captured.selection import Selection
from core.journals import journals as journal_module
from core.store.errors import JournalHeld, StoreBusy, StoreUnreachable
from core.store.filesystem import Store
from core.store.job_lock import exclusive
from core.store.listing import list_store
from core.store.places import ROTATE_REQUEST
from core.store.quarantine import Unreadable
from core.store.row_filters import OfPerson, OlderThan
from core.store.schema import REPLACED_KEY
from core.upkeep.compaction import Compaction, compact
from core.upkeep.erasure import Found, count, erase, find

FEATURES = {"temperature": "double", "pressure": "double", "wear": "double"}
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)


def rows(*entities: str | None, start: int = 0) -> list[dict[str, Any]]:
    """Return one row per entity, each with its own temperature."""
    return [
        {"temperature": float(start + n), "pressure": None, "wear": 1.0, "score": 0.5, "entity": e}
        for n, e in enumerate(entities)
    ]


def past_day(writer: Any, entities: list[str | None], files: int, **options: Any) -> None:
    """Write Parquet files of one past day."""
    age = datetime.now(UTC) - NOON + timedelta(days=2)
    for n in range(files):
        journal = writer.journal(
            rows(*entities, start=10 * n), age=age - timedelta(seconds=n), **options
        )
        writer.parquet(journal)


def temperatures(store: Store) -> list[float]:
    """Return the sorted temperatures that a report reads of version 1."""
    now = datetime.now(UTC)
    selection = Selection("modelo", 1, now - timedelta(days=30), now + timedelta(days=1))
    batches = Captures(store, selection, FEATURES).rows(["temperature"])
    return sorted(value for batch in batches for value in batch.column(0).to_pylist())


def test_a_person_is_taken_out_of_everything(place: Any, writer: Any) -> None:
    """A person's rows are erased from all files (replaced ones too), journals and roles only."""
    store, upload = place
    past_day(writer, ["a", "b", None], 3)
    past_day(writer, ["a"], 1, role="shadow")
    upload()
    assert compact(store) == Compaction(merged=3, written=1, removed=0)
    writer.journal(rows("b", "a", start=100))
    writer.parquet(writer.journal(rows("a", "b", "a", start=200)))
    upload()
    rule = OfPerson("a")
    assert count(store, rule) == Found(rows=7, files=3, journals=1)
    assert erase(store, rule) == Found(rows=7, files=6, journals=1)
    assert count(store, rule).rows == 0
    assert temperatures(store) == [1, 2, 11, 12, 21, 22, 100, 201]
    for file in store.files():
        with store.parquet(file.path) as parquet:
            assert "a" not in parquet.read().column("entity").to_pylist()
    files = list_store(store)
    assert len(files.replaced) == 3  # the list in the footer is kept
    assert compact(store, keep_minutes=0).removed == 3
    assert temperatures(store) == [1, 2, 11, 12, 21, 22, 100, 201]


def test_nothing_is_touched_that_holds_nothing(place: Any, writer: Any) -> None:
    """Files and journals without the person's rows are not rewritten."""
    store, upload = place
    past_day(writer, ["b"], 2)
    upload()
    journal = writer.journal(rows("b"))
    before = [file.modified for file in store.files()], journal.stat().st_mtime_ns
    time.sleep(1.1)  # timestamps of a bucket have a resolution of one second
    assert erase(store, OfPerson("a")) == Found(0, 0, 0)
    assert ([file.modified for file in store.files()], journal.stat().st_mtime_ns) == before


def test_old_rows_go_and_with_the_last_one_the_file(place: Any, writer: Any) -> None:
    """Old rows are erased; a mixed file keeps its younger rows, an emptied one is deleted."""
    store, upload = place
    for days in (200, 181, 179, 1):
        writer.parquet(writer.journal(rows(None, start=days), age=timedelta(days=days)))
    now = int(datetime.now(UTC).timestamp() * 1e6)
    mixed = [
        {**rows(None, start=day)[0], "timestamp": now - day * 86_400_000_000} for day in (185, 3)
    ]
    writer.parquet(writer.journal(mixed, age=timedelta(days=185)))
    writer.journal(rows(None, start=300), age=timedelta(days=300))
    upload()
    rule = OlderThan(datetime.now(UTC) - timedelta(days=180))
    assert count(store, rule) == Found(rows=4, files=3, journals=1)
    assert erase(store, rule) == Found(rows=4, files=3, journals=1)
    assert len(store.files()) == 3
    assert not list(store.journals.glob("*.jsonl"))
    everything = Selection("modelo", 1, datetime(2000, 1, 1, tzinfo=UTC), datetime.now(UTC))
    batches = Captures(store, everything, FEATURES).rows(["temperature"])
    assert sorted(v for b in batches for v in b.column(0).to_pylist()) == [1, 3, 179]


def test_each_row_is_found_once(place: Any, writer: Any) -> None:
    """Each row is found once, also where a journal or a replaced file has it, too."""
    store, upload = place
    past_day(writer, ["a", "b"], 2)
    upload()
    compact(store)
    writer.parquet(writer.journal(rows("a", start=50)), keep_journal=True)
    upload()
    tables = [table for _, table in find(store, OfPerson("a"), Unreadable(store))]
    assert sorted(t for table in tables for t in table.column("temperature").to_pylist()) == [
        *(0, 10, 50)
    ]


def test_a_job_killed_half_way_is_finished_by_the_next(
    place: Any, writer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an interrupted erasure each file is complete, and the next erasure finishes."""
    store, upload = place
    past_day(writer, ["a", "b"], 4)
    upload()
    genuine, calls = Store.new_file, iter(range(100))

    def die(self: Store, stem: str) -> Any:
        if next(calls) == 2:
            raise SystemExit
        return genuine(self, stem)

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(Store, "new_file", die)
        erase(store, OfPerson("a"))
    assert temperatures(store) == [1, 11, 20, 21, 30, 31]
    assert erase(store, OfPerson("a")).files == 2
    assert temperatures(store) == [1, 11, 21, 31]


def test_one_job_at_a_time(place: Any, writer: Any) -> None:
    """While one job holds the store, any other is rejected and changes nothing."""
    store, upload = place
    past_day(writer, ["a"], 2)
    upload()
    with exclusive(store):
        for job in (lambda: compact(store), lambda: erase(store, OfPerson("a"))):
            with pytest.raises(StoreBusy, match="em andamento"):
                job()
    assert len(store.files()) == 2
    assert erase(store, OfPerson("a")).rows == 2


def test_a_claim_left_behind_in_a_bucket_expires(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim left in a bucket blocks jobs until it expires; the next job then removes it."""
    store = Store(bucket, tmp_path)
    store.filesystem.open_output_stream(store.path(".claims/dead")).close()
    with pytest.raises(StoreBusy, match="apague"), exclusive(store):
        pass
    monkeypatch.setattr("core.store.job_lock.CLAIM_SECONDS", -1.0)
    with exclusive(store):
        assert len(store.listed(".claims")) == 1
    assert store.listed(".claims") == []
    assert store.files() == []


def test_a_held_journal_is_waited_for(writer: Any) -> None:
    """Erasure requests rotation of a held journal, and erases its rows once it is released."""
    journal = writer.journal(rows("a", "b"))
    fd = os.open(journal, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    asked: list[bool] = []

    def proxy() -> None:
        while not (writer.folder / "journal" / ROTATE_REQUEST).exists():
            time.sleep(0.01)
        asked.append(journal.read_bytes().count(b'"a"') == 1)
        os.close(fd)

    thread = threading.Thread(target=proxy)
    thread.start()
    assert erase(writer.store, OfPerson("a")) == Found(1, 0, 1)
    thread.join()
    assert asked == [True]
    assert not (writer.folder / "journal" / ROTATE_REQUEST).exists()
    assert b'"a"' not in journal.read_bytes()


def test_a_journal_that_is_never_let_go_of_is_named(
    writer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal that stays locked raises JournalHeld with its name, before any Parquet change."""
    monkeypatch.setattr(journal_module, "PATIENCE_SECONDS", 0.2)
    journal = writer.journal(rows("a"))
    parquet = writer.parquet(writer.journal(rows("a")))
    with journal.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(JournalHeld, match=journal.name):
            erase(writer.store, OfPerson("a"))
    assert pq.read_metadata(parquet).num_rows == 1


def test_half_a_line_goes_too(writer: Any) -> None:
    """A truncated last line, never served, is removed: it may be of the same person."""
    for content in (rows("b"), []):
        journal = writer.journal(content)
        with journal.open("ab") as file:
            file.write(b'["r9", 0, 1, "a"')
    assert erase(writer.store, OfPerson("a")).rows == 0
    (left,) = (writer.folder / "journal").glob("*.jsonl")
    assert b'"a"' not in left.read_bytes()
    assert left.read_bytes().endswith(b"\n")


def test_what_died_half_written_is_removed(writer: Any) -> None:
    """Temporary files, which may have any rows, are deleted unless a proxy is writing them."""
    held = writer.journal(rows("b"))
    (writer.folder / ".compacted.parquet.tmp").write_bytes(b"a")
    (writer.folder / "journal" / ".x.jsonl.tmp").write_bytes(b"a")
    busy = writer.folder / f".{held.stem}.parquet.tmp"
    busy.write_bytes(b"a")

    def proxy(fd: int) -> None:
        time.sleep(0.3)
        os.close(fd)

    fd = os.open(held, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    thread = threading.Thread(target=proxy, args=(fd,))
    thread.start()
    erase(writer.store, OfPerson("a"))
    thread.join()
    assert {p.name for p in writer.folder.glob(".*.tmp")} == {busy.name}
    assert not list((writer.folder / "journal").glob(".*"))
    erase(writer.store, OfPerson("a"))
    assert not busy.exists()


def test_an_absent_store_holds_nothing(tmp_path: Path) -> None:
    """A missing store has no rows to count or erase, and its folder is not created."""
    store = Store(tmp_path / "none")
    assert count(store, OfPerson("a")) == erase(store, OfPerson("a")) == Found(0, 0, 0)
    assert not (tmp_path / "none").exists()


def test_a_store_below_a_file_is_an_absent_one(tmp_path: Path) -> None:
    """A store path below a regular file is treated as a missing store."""
    (tmp_path / "file").touch()
    store = Store(tmp_path / "file" / "store")
    assert count(store, OfPerson("a")) == erase(store, OfPerson("a")) == Found(0, 0, 0)


def test_a_bucket_that_is_not_there_is_one_clear_error(bucket: str, tmp_path: Path) -> None:
    """A missing bucket is an error that names the variables to check, and no secret."""
    store = Store("s3://no-such-bucket-here/x", tmp_path)
    with pytest.raises(StoreUnreachable, match="AWS_ENDPOINT_URL") as caught:
        compact(store)
    assert "secret" not in str(caught.value)


def test_a_compacted_file_says_the_same_after_a_rewrite(writer: Any) -> None:
    """Erasure keeps a compacted file's schema and its list of replaced files."""
    past_day(writer, ["a", "b"], 2)
    compact(writer.store)
    (merged,) = list_store(writer.store).live
    before = pq.read_schema(merged), json.loads(pq.read_metadata(merged).metadata[REPLACED_KEY])
    erase(writer.store, OfPerson("a"))
    after = pq.read_schema(merged), json.loads(pq.read_metadata(merged).metadata[REPLACED_KEY])
    assert before == after
