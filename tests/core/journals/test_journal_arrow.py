"""Journals read as Arrow tables: by the CSV reader where lines allow it, exactly in every case."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.journals import journal_arrow as journal_tables
from core.journals.journal_arrow import read_tables
from core.store.errors import FileDamaged
from core.store.schema import JournalHeader
from tests.stored import read_journal

CONSTANTS = {"model_name": "m", "model_version": "v1.0.0", "registry_version": 1, "role": "p"}
HEADER = JournalHeader.of(
    CONSTANTS, {"size": "double", "count": "long", "open": "boolean", "kind": "string"}
)
LONG = st.integers(-(2**63), 2**63 - 1)
FLOAT = st.floats(allow_nan=False, allow_infinity=False) | LONG.map(float)
TEXT = st.text(max_size=12) | st.sampled_from(['"', "null", "true", "1.5", "]\n[", ",", "", " a "])
ROW = st.tuples(
    *(TEXT, st.integers(0, 2**31), st.integers(0, 2**53), st.none() | TEXT, st.none() | LONG),
    *(st.none() | FLOAT, st.none() | LONG, st.none() | st.booleans(), st.none() | TEXT),
    *(FLOAT, st.none() | st.integers(0, 1), st.none() | FLOAT, FLOAT),
)


def journal(path: Path, rows: list[Any], tail: bytes = b"") -> Path:
    """Write a journal as capture does."""
    path.write_bytes(HEADER.to_line() + msgspec.json.Encoder().encode_lines(rows) + tail)
    return path


@given(st.lists(ROW, min_size=1, max_size=8))
@settings(deadline=None)
def test_every_value_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any]
) -> None:
    """For any text, number or null the table equals the rows of a plain JSON reader."""
    path = journal(tmp_path_factory.mktemp("journals") / "j.jsonl", rows)
    table = pa.concat_tables(read_tables(path))
    _, expected = read_journal(path)
    written = [c for c in HEADER.columns if c != "timestamp"]
    places = [list(HEADER.columns).index(c) for c in written]
    found = list(zip(*(table[c].to_pylist() for c in written), strict=True))
    assert found == [tuple(row[place] for place in places) for row in expected]
    stamps = table["timestamp"].cast(pa.int64()).to_pylist()
    assert stamps == [row[2] for row in rows]
    assert table["model_version"].to_pylist() == ["v1.0.0"] * len(rows)
    assert table.column_names == list(HEADER.schema())


@pytest.mark.parametrize("text", ["plain", 'a "quoted" word', "null", "a, b", "maçã"])
def test_both_ways_agree(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The CSV path is taken only for lines without escapes, and equals the JSON path."""
    row = ["id", 0, 1_700_000_000_000_000, None, 2024, 0.1, -3, True, text, 1e-300, 1, 0.5, 12.25]
    path = journal(tmp_path / "j.jsonl", [row, row])
    quick = pa.concat_tables(read_tables(path))
    taken = journal_tables._from_csv(HEADER, path.read_bytes().split(b"\n", 1)[1]) is not None
    assert taken == ('"' not in text)
    monkeypatch.setattr(journal_tables, "_from_csv", lambda *_: None)
    assert pa.concat_tables(read_tables(path)).equals(quick)


def test_a_large_journal_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large journal yields bounded tables: all rows in order, no truncated last line."""
    monkeypatch.setattr(journal_tables, "BLOCK_BYTES", 10_000)
    rows = [["r", n, 1, None, None, 0.5, n, False, "x", 0.5, 1, 0.5, 1.0] for n in range(2_000)]
    tables = list(read_tables(journal(tmp_path / "j.jsonl", rows, b'["half')))
    assert 5 < len(tables) < 20
    numbers = [n for table in tables for n in table["instance"].to_pylist()]
    assert numbers == list(range(2_000))


@pytest.mark.parametrize(
    "damage",
    [
        b'["r",0,1,null,null,0.5,0,false,"x",0.5,1,0.5\n',
        b'["r",0,1,null,null,0.5,0,false,"x",0.5,1,0.5]\n',
        b'["r",0,1,null,null,0.5,0,false,"x",0.5,1,0.5,1.0]]\n',
        b"\n",
        b"\x00\x00\n",
        b"5\n",
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, damage: bytes) -> None:
    """A complete line that does not fit the header raises FileDamaged with its line number."""
    row = ["r", 0, 1, None, 2024, 0.5, 0, False, "x", 0.5, 1, 0.5, 1.0]
    tail = damage + json.dumps(row).encode() + b"\n"
    path = journal(tmp_path / "j.jsonl", [row, row], tail)
    with pytest.raises(FileDamaged, match="linha 4"):
        list(read_tables(path))


def test_a_journal_without_rows_has_no_tables(tmp_path: Path) -> None:
    """An empty file, a truncated header, and a header without a complete row yield no tables."""
    path = tmp_path / "j.jsonl"
    for content in (b"", HEADER.to_line()[:-1], HEADER.to_line(), HEADER.to_line() + b"[1"):
        path.write_bytes(content)
        assert list(read_tables(path)) == []
