"""Quarantine of damaged files: every job processes all others and reports what is missing."""

import fcntl
import json
import os
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from core.captured.reader import Captures
from core.captured.selection import Selection
from core.store.filesystem import Store
from core.store.quarantine import drop_quarantined, quarantined
from core.store.quarantined import EXIT_QUARANTINED
from core.store.row_filters import OfPerson, OlderThan
from core.upkeep.compaction import compact
from core.upkeep.erasure import count, erase
from monitoring.compact import main
from tests.stored import flip_a_page

FEATURES = {"temperature": "double", "pressure": "double", "wear": "double"}
YESTERDAY = timedelta(days=1, hours=1)


def rows(*entities: str, start: int = 0) -> list[dict[str, Any]]:
    """Return ten scored rows of each person."""
    return [
        {"temperature": float(start + n), "wear": 1.0, "score": 0.5, "entity": name}
        for n, name in enumerate(name for name in entities for _ in range(10))
    ]


def truncate(path: Path) -> None:
    """Cut a file in half, as a crash does on a file system without journalling."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    """Truncate a file to zero bytes."""
    path.write_bytes(b"")


def foreign(path: Path) -> None:
    """Replace a file by a table with unrelated columns."""
    pq.write_table(pa.table({"ra": ["RA-1"], "nota": [7.5]}), path)


def future(path: Path) -> None:
    """Give the footer the magic number of an encrypted one, which is not read here."""
    path.write_bytes(path.read_bytes()[:-4] + b"PARE")


def score_as_text(path: Path) -> None:
    """Rewrite the scores as text with decimal commas."""
    table = pq.read_table(path)
    place = table.schema.get_field_index("score")
    text = pc.replace_substring(table["score"].cast(pa.string()), ".", ",")
    pq.write_table(table.set_column(place, "score", text), path)


def feature_as_text(path: Path) -> None:
    """Rewrite a feature as text."""
    table = pq.read_table(path)
    place = table.schema.get_field_index("temperature")
    words = pa.array(["quente"] * table.num_rows)
    pq.write_table(table.set_column(place, "temperature", words), path)


DAMAGES = [truncate, empty, foreign, future, score_as_text, feature_as_text, flip_a_page]


def read(store: Store) -> tuple[Captures, list[float]]:
    """Read version 1; return the reader and the temperatures."""
    now = datetime.now(UTC)
    selection = Selection("modelo", 1, now - timedelta(days=7), now)
    captures = Captures(store, selection, FEATURES)
    batches = list(captures.batches())
    return captures, [t for b in batches for t in b.column("temperature").to_pylist()]


def filled(writer: Any) -> list[Path]:
    """Write three files of yesterday: rows of ana, of bia, and of ana and caio."""
    people = [rows("ana", start=100), rows("bia", start=200), rows("ana", "caio", start=300)]
    return [writer.parquet(writer.journal(r, age=YESTERDAY)) for r in people]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_report_reads_all_the_others(
    damage: Callable[[Path], None], place: Any, writer: Any
) -> None:
    """A damaged file is moved with its reason, and reported again by the next reading."""
    store, upload = place
    files = filled(writer)
    damage(files[1])
    upload()
    captures, temperatures = read(store)
    assert temperatures == [309.0, 319.0]  # the latest of ana and of caio
    (aside,) = captures.quarantined
    assert aside.name == files[1].name
    assert aside.moved
    assert aside.rows is not None
    assert aside.rows <= 25
    assert [f.path.name for f in store.files()] == [files[0].name, files[2].name]
    again, same = read(store)
    assert (same, again.quarantined) == (temperatures, captures.quarantined)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_person_is_forgotten_all_the_same(
    damage: Callable[[Path], None], place: Any, writer: Any
) -> None:
    """Erasure processes every other file and reports the one that cannot be read."""
    store, upload = place
    files = filled(writer)
    damage(files[1])
    upload()
    looked = count(store, OfPerson("ana"))
    assert len(store.files()) == 3  # counting moves nothing
    done = erase(store, OfPerson("ana"))
    # A row whose entity can be read is erased, whatever else is damaged in it.
    unread = [] if damage in (score_as_text, feature_as_text) else [files[1].name]
    assert [one.name for one in done.quarantined] == unread
    assert (looked.rows, done.rows) == (20, 20)
    assert count(store, OfPerson("ana")).rows == 0


@pytest.mark.parametrize("held", [1, 1000])
def test_without_entities_each_file_counts_whole_or_not_at_all(
    held: int, writer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without entities no row of a file that turns out to be damaged is counted."""
    monkeypatch.setattr("core.captured.sources._ROWS_HELD", held)
    nobody = [[{**row, "entity": None} for row in rows("x", start=n)] for n in (0, 100, 200, 300)]
    files = [writer.parquet(writer.journal(part, age=YESTERDAY)) for part in nobody]
    sound = read(writer.store)[1]
    assert len(sound) == 40
    feature_as_text(files[0])
    truncate(files[3])
    captures, found = read(writer.store)
    assert found == sound[10:30]
    assert (captures.n_instances, len(captures.quarantined)) == (20, 2)
    for path in files[1:3]:
        path.write_bytes(b"")
    captures, found = read(writer.store)
    assert (found, captures.n_instances, len(captures.quarantined)) == ([], 0, 4)


def test_retention_drops_old_rows_and_old_quarantine(place: Any, writer: Any) -> None:
    """Retention deletes quarantined files that are older than the limit, like other rows."""
    store, upload = place
    files = filled(writer)
    truncate(files[1])
    writer.parquet(writer.journal(rows("dora"), age=timedelta(hours=1)))
    upload()
    moment = datetime.now(UTC) - timedelta(hours=6)
    assert erase(store, OlderThan(moment)).rows == 30
    assert [one.name for one in quarantined(store)] == [files[1].name]
    assert drop_quarantined(store, moment - timedelta(days=2)) == 0
    assert drop_quarantined(store, moment) == 1
    assert quarantined(store) == []
    assert read(store)[1] == [9.0]


def test_a_damaged_journal_stops_nobody(writer: Any) -> None:
    """A damaged journal is quarantined unless a process holds it; neither is read in part."""
    filled(writer)
    dead, held = (writer.journal(rows("ana"), age=timedelta(hours=h)) for h in (2, 1))
    for path in (dead, held):
        path.write_bytes(path.read_bytes()[:-9] + b"\x00\x00\x00\x00\x00\x00\x00]\n")
    with held.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        captures, temperatures = read(writer.store)
        assert temperatures == [209.0, 309.0, 319.0]
    told = {one.name: (one.rows, one.moved) for one in captures.quarantined}
    assert told == {dead.name: (10, True), held.name: (10, False)}
    assert not dead.exists()
    assert held.exists()
    done = erase(writer.store, OfPerson("ana"))
    assert done.rows == 20
    assert {one.name for one in done.quarantined} == {dead.name, held.name}
    assert not list((writer.folder / "journal").glob("*.jsonl"))


def test_who_may_not_move_a_file_reads_the_others(
    writer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a damaged file cannot be moved, it stays and the other files are read."""
    files = filled(writer)
    truncate(files[1])

    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("core.store.quarantine.move_aside", refuse)
    captures, temperatures = read(writer.store)
    assert temperatures == [309.0, 319.0]
    assert [one.moved for one in captures.quarantined] == [False]
    assert files[1].exists()


def test_who_may_not_read_a_file_blames_nobody(writer: Any) -> None:
    """A file without read permission raises PermissionError and is not quarantined."""
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    files = filled(writer)
    files[1].chmod(0)
    with pytest.raises(PermissionError):
        read(writer.store)
    assert files[1].exists()


def test_every_flipped_bit_of_a_page_is_noticed(writer: Any) -> None:
    """Of 60 flipped bits in the pages most are detected, and no other one changes a value."""
    path = filled(writer)[2]
    good = path.read_bytes()
    footer = int.from_bytes(good[-8:-4], "little")
    table, draw = pq.read_table(path), random.Random(7)  # noqa: S311
    noticed = 0
    for _ in range(60):
        flipped = bytearray(good)
        flipped[draw.randrange(4, len(good) - 8 - footer)] ^= 1 << draw.randrange(8)
        path.write_bytes(flipped)
        noticed += writer.store.damage(path) is not None
        if writer.store.damage(path) is None:
            assert pq.read_table(path).equals(table)
    assert noticed > 40


def test_quarantined_files_keep_to_themselves(writer: Any) -> None:
    """Quarantined files, which have personal rows, have mode 0640 in a folder of mode 0750."""
    files = filled(writer)
    files[1].chmod(0o640)
    truncate(files[1])
    read(writer.store)
    folder = writer.folder / "quarantine"
    assert folder.stat().st_mode & 0o777 == 0o750
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o640}
    record = json.loads((folder / f"{files[1].name}.reason.json").read_text("utf-8"))
    assert set(record) == {"reason", "rows"}


def test_the_command_says_what_is_missing_with_a_code_of_its_own(
    writer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Compaction completes, names the damaged file and its rows, and exits with its own code."""
    files = filled(writer)
    flip_a_page(files[1])
    assert main(["--inference_store", str(writer.folder)]) == EXIT_QUARANTINED
    told = capsys.readouterr().out
    assert "2 arquivos juntados em 1" in told
    assert f"{files[1].name} não pode ser lido" in told
    assert "10 linhas" in told
    assert compact(writer.store).quarantined != ()
