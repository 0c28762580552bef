"""Tables from users: the same rows from each format, and errors that quote no value."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.tables.errors import UnreadableTable
from core.tables.numbers import decimal_mark, read_numbers
from core.tables.reading import open_table

TYPES = {"nota": "double", "fase": "long", "bolsista": "boolean", "RA": "string"}
ROWS = [
    {"RA": "007", "escola": "São João", "nota": 7.5, "fase": 1, "bolsista": True},
    {"RA": "008", "escola": 'dita "A; B, C"', "nota": 1234.56, "fase": 2, "bolsista": False},
    {"RA": "009", "escola": None, "nota": None, "fase": None, "bolsista": None},
]
LINES = [
    ["RA", "escola", "nota", "fase", "bolsista"],
    ["007", "São João", "7,5", "1,0", "Sim"],
    ["008", 'dita "A; B, C"', "1.234,56", "2", "Não"],
    ["009", "", "", "NA", ""],
]


def delimited(separator: str, encoding: str) -> bytes:
    """Return the lines as CSV."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator).writerows(LINES)
    return text.getvalue().encode(encoding)


def rows_of(content: bytes | Path, chunk: int = 2) -> list[dict[str, Any]]:
    """Return all rows of a table."""
    return [row for rows in open_table(content).chunks(chunk, TYPES) for row in rows]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_csv_of_every_form_gives_the_same_rows(separator: str, encoding: str) -> None:
    """Separator, encoding and decimal mark are detected, and reported in one line."""
    content = delimited(separator, encoding)
    assert rows_of(content) == ROWS
    said = open_table(content).taken_for
    assert {",": "vírgula entre", ";": "ponto e vírgula", "\t": "tabulação"}[separator] in said
    assert "vírgula decimal" in said
    assert ("Windows-1252" if encoding == "cp1252" else "UTF-8") in said
    assert "\n" not in said


def test_a_line_of_excel_names_the_separator() -> None:
    """Excel's line `sep=;` is not taken for the header."""
    assert rows_of(b"sep=;\r\n" + delimited(";", "cp1252")) == ROWS


def test_workbook_parquet_and_json_lines_give_the_same_rows(tmp_path: Path) -> None:
    """Workbooks with typed or text cells, Parquet and JSON lines yield the same rows."""
    book = openpyxl.Workbook()
    for line in (LINES[0], *([*row.values()] for row in ROWS)):
        book.active.append(line)  # type: ignore[union-attr]
    book.save(tmp_path / "t.xlsx")
    texts = openpyxl.Workbook()
    for line in LINES:
        texts.active.append(line)  # type: ignore[union-attr]
    texts.save(tmp_path / "texts.xlsx")
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "t.parquet")
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    for name in ("t.xlsx", "texts.xlsx", "t.parquet", "t.jsonl"):
        assert rows_of(tmp_path / name) == ROWS, name
        assert rows_of((tmp_path / name).read_bytes()) == ROWS, name


@pytest.mark.parametrize(
    ("cells", "separator", "mark"),
    [
        (["7,5", "1.234"], ";", ","),
        (["7.5", "1.234"], ";", "."),
        (["0.125", "1.234"], ",", "."),
        (["1.234,5"], ",", ","),
        (["1.234"], ",", "."),
        (["1,234"], ";", ","),
        (["1.234"], ";", ""),
        (["1,234"], ",", ""),
        (["7,5", "7.5"], ";", ""),
        (["text", "12"], ";", ""),
    ],
)
def test_the_other_cells_tell_the_decimal_mark(cells: list[str], separator: str, mark: str) -> None:
    """The other cells decide how `1.234` is read; where they do not, there is no decimal mark."""
    assert decimal_mark(cells, separator) == mark


@pytest.mark.parametrize(
    ("text", "decimal", "number"),
    [
        ("1.234", ",", 1234.0),
        ("1.234", ".", 1.234),
        ("1.234", "", None),
        ("1,234", ",", 1.234),
        ("1,234", ".", None),
        ("1.234.567", "", 1234567.0),
        ("1,234,567.5", "", 1234567.5),
        ("-1.234,567", "", -1234.567),
        ("+7,5", "", 7.5),
        ("1e3", "", 1000.0),
        ("5,", ",", 5.0),
        (",5", ",", 0.5),
        ("1_0", "", None),
        ("nan", "", None),
        ("inf", "", None),
        ("1e999", "", None),
        ("١", "", None),
        ("1.23.456", "", None),
        ("R$ 5", "", None),
    ],
)
def test_a_number_is_read_in_one_way_or_not_at_all(
    text: str, decimal: str, number: float | None
) -> None:
    """A text that could mean a thousand times more or less is no number."""
    numbers, refused = read_numbers(pa.array([text, None]), decimal)
    assert numbers.to_pylist() == [number, None]
    assert refused.to_pylist() == [number is None, False]


@given(st.floats(-1e15, 1e15))
@settings(deadline=None)
def test_what_brazil_writes_is_read_back(number: float) -> None:
    """Any number with points between thousands and a decimal comma is parsed back."""
    written = f"{number:,.4f}".translate(str.maketrans(",.", ".,"))
    numbers, _refused = read_numbers(pa.array([written]), ",")
    assert numbers.to_pylist() == [float(f"{number:.4f}")]


def test_whole_numbers_keep_their_digits_and_other_text_stays() -> None:
    """An integer of 17 digits is not rounded; text that is no number is returned unchanged."""
    (rows,) = open_table(b"fase;nota\n12345678901234567;seven\n2,5;1,5\n").chunks(9, TYPES)
    assert rows == [{"fase": 12345678901234567, "nota": "seven"}, {"fase": 2.5, "nota": 1.5}]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "cabeçalho"),
        (b"\xff\xfeP\x00L\x00", "UTF-8"),
        (b"a;PLANTED\n\x81\n", "Windows-1252"),
        (b"a;a\n1;2\n", "repete a"),
        (b"a;b\n1;2\nPLANTED\n3;4\n", "linha 3"),
        (b'a;b\n1;"PLANTED\n', "não termina"),
        (b"PK\x03\x04PLANTED", ".xlsx"),
        (b"PAR1PLANTED", "Parquet"),
        (b'{"a": 1}\n{"a": PLANTED}\n', "linha 2"),
        (b'{"a": 1}\n{"a": ' + b"[" * 100_000 + b"\n", "linha 2"),
        (b"\xd0\xcf\x11\xe0PLANTED", ".xls "),
    ],
)
def test_what_is_no_table_is_said_by_place(content: bytes, word: str) -> None:
    """The error is one line, with the line number of the file where known, and quotes no value."""
    with pytest.raises(UnreadableTable) as raised:
        rows_of(content)
    assert word in str(raised.value)
    assert "PLANTED" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_name_that_says_another_kind_is_refused(tmp_path: Path) -> None:
    """Text in a `.parquet` file, a missing file and a folder without Parquet are rejected."""
    (tmp_path / "t.parquet").write_text("a,b\n1,2\n")
    with pytest.raises(UnreadableTable, match="Parquet"):
        open_table(tmp_path / "t.parquet")
    with pytest.raises(UnreadableTable, match="não existe"):
        open_table(tmp_path / "absent.csv")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UnreadableTable, match="folder"):
        open_table(tmp_path / "folder")


def test_columns_without_a_name_are_left_out() -> None:
    """Columns without a name, as of an index or of trailing separators, are left out."""
    assert rows_of(b";nota;\n0;1,5;\n") == [{"nota": 1.5}]
