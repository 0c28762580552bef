"""Workbooks of other programs, damaged and hostile ones: read, or refused in one line."""

import random
import re
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import openpyxl
import pandas as pd
import pytest

from data.synthetic import generate_workbook, write_workbook
from mlflow_project.pede import DataError, read_workbook
from mlflow_project.pede.archive import MAX_UNPACKED
from mlflow_project.pede.errors import WorkbookError

SHEET = "xl/worksheets/sheet1.xml"
Members = dict[str, bytes]


@pytest.fixture(scope="module")
def workbook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a small synthetic workbook."""
    path = tmp_path_factory.mktemp("raw") / "pede.xlsx"
    write_workbook(generate_workbook(30, seed=1), path)
    return path


@pytest.fixture(scope="module")
def members(workbook: Path) -> Members:
    """Return the workbook's archive members by name."""
    with ZipFile(workbook) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(members: Members) -> bytes:
    """Return an archive of these files."""
    content = BytesIO()
    with ZipFile(content, "w", ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return content.getvalue()


def strict(name: str, text: bytes) -> bytes:
    """Return a file in the namespaces of Strict Open XML."""
    return re.sub(
        rb"http://schemas\.openxmlformats\.org/(spreadsheetml|officeDocument|drawingml)/2006/",
        rb"http://purl.oclc.org/ooxml/\1/",
        text,
    )


def empty_fill(name: str, text: bytes) -> bytes:
    """Return styles with an empty fill, as some programs write it."""
    if name != "xl/styles.xml":
        return text
    changed = re.sub(rb"<fill>.*?</fill>", b"<fill></fill>", text, count=1)
    assert changed != text
    return changed


def broken_date(name: str, text: bytes) -> bytes:
    """Return document properties with an invalid date."""
    if name != "docProps/core.xml":
        return text
    changed = re.sub(rb"\d{4}-\d\d-\d\dT[\d:]+Z", b"31/02/2024", text)
    assert changed != text
    return changed


def sheets_seen(content: bytes) -> list[str]:
    """Return the sheets that openpyxl finds by itself; none if it fails."""
    try:
        return openpyxl.load_workbook(BytesIO(content)).sheetnames
    except Exception:
        return []


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("change", [strict, empty_fill, broken_date])
def test_what_stops_openpyxl_is_read(
    workbook: Path, members: Members, change: Callable[[str, bytes], bytes]
) -> None:
    """Files in which openpyxl fails or finds no sheet are read with the same values."""
    content = packed({name: change(name, text) for name, text in members.items()})
    assert not sheets_seen(content), "openpyxl reads it: the test would show nothing"
    frame, report = read_workbook(content)
    expected, counted = read_workbook(workbook)
    pd.testing.assert_frame_equal(frame, expected)
    assert report == counted


def test_a_formula_that_was_never_calculated_is_counted_by_name(workbook: Path) -> None:
    """A formula without a stored value is null and counted; one with a value or text is not."""
    book = openpyxl.load_workbook(workbook)
    sheet = book["PEDE2023"]
    header = [cell.value for cell in sheet[1]]
    for row in range(2, 6):
        sheet.cell(row, header.index("IEG") + 1, "=ROUND(8.25, 1)")
    content = BytesIO()
    book.save(content)
    frame, report = read_workbook(content.getvalue())
    assert frame.loc[frame["ano"] == 2023, "ieg"].isna().sum() >= 4
    found = {(e.sheet, e.column): e.count for e in report.entries if "sem valor" in e.reason}
    assert found == {("PEDE2023", "IEG"): 4}

    with ZipFile(content) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    name = next(name for name, text in files.items() if b"ROUND" in text)
    stored = iter([b"<v>8.2</v></c>", b"<v>8.3</v></c>"])
    files[name] = re.sub(rb"<v\s*/></c>|<v></v></c>", lambda c: next(stored, c[0]), files[name])
    text = re.sub(rb'<c (r="\w+")(?= ?[^>]*><f>[^<]*</f><v ?/>)', rb'<c \1 t="str"', files[name])
    assert text != files[name]
    for content, uncalculated in ((files[name], [2]), (text, [])):
        _, report = read_workbook(packed({**files, name: content}))
        assert [e.count for e in report.entries if "sem valor" in e.reason] == uncalculated


def test_the_older_wide_table_is_named_as_what_it_is(tmp_path: Path) -> None:
    """The older wide table, as CSV or sheet, is refused as another layout."""
    header = ["NOME", "INSTITUICAO_ENSINO_ALUNO_2020", "IDADE_ALUNO_2020", "INDE_2020", "INDE_2021"]
    csv = tmp_path / "PEDE_PASSOS_DATASET_FIAP.csv"
    for separator in ";", ",":
        csv.write_text(f"{separator.join(header)}\nALUNO-1;;11;7.5;8.1\n", encoding="utf-8")
        with pytest.raises(WorkbookError, match="outro leiaute"):
            read_workbook(csv)
    xlsx = tmp_path / "wide.xlsx"
    write_workbook({"dados": pd.DataFrame([["ALUNO-1"] * 5], columns=header)}, xlsx)
    with pytest.raises(WorkbookError, match="uma aba por ano"):
        read_workbook(xlsx)


def test_a_bomb_is_refused_before_it_is_unpacked(members: Members) -> None:
    """An archive whose directory states too large a size is refused without unpacking."""
    bomb = packed({**members, SHEET: bytes(MAX_UNPACKED)})
    assert len(bomb) < 2**20
    started = time.process_time()
    with pytest.raises(WorkbookError, match="128 MB descompactada"):
        read_workbook(bomb)
    assert time.process_time() - started < 0.2


def test_a_directory_that_lies_unpacks_no_more_than_it_says(members: Members) -> None:
    """A member larger than the directory states is refused without unpacking it whole."""
    size = 300 * 2**20
    bomb = bytearray(packed({SHEET: bytes(size)}))
    at = bomb.rindex(size.to_bytes(4, "little"))
    bomb[at : at + 4] = (1000).to_bytes(4, "little")
    started = time.process_time()
    with pytest.raises(WorkbookError):
        read_workbook(bytes(bomb))
    assert time.process_time() - started < 0.2


@pytest.mark.parametrize(
    "cell",
    [
        b'<row r="999999999999"><c r="A9"><v>1</v></c></row>',
        b'<row r="9"><c r="XFD9"><v>1</v></c></row>',
        b'<row r="9"><c r="AAAAAA9"><v>1</v></c></row>',
        b'<row r="nine"><c><v>1</v></c></row>',
    ],
)
def test_cells_far_away_cost_nothing(members: Members, cell: bytes) -> None:
    """A cell at or beyond the last row or column is ignored or refused within 5 s of CPU time."""
    sheet = members[SHEET].replace(b"</sheetData>", cell + b"</sheetData>")
    started = time.process_time()
    try:
        frame, _ = read_workbook(packed({**members, SHEET: sheet}))
        assert len(frame)
    except DataError as error:
        assert "\n" not in str(error)
    assert time.process_time() - started < 5


def mutated(members: Members, rng: random.Random) -> bytes:
    """Return the workbook with one member damaged, missing or exchanged."""
    files = dict(members)
    name, other = rng.sample(list(files), 2)
    kind = rng.randrange(4)
    if kind == 0:
        del files[name]
    elif kind == 1:
        files[name], files[other] = files[other], files[name]
    elif kind == 2:
        content = bytearray(packed(files))
        content[rng.randrange(len(content))] ^= 255
        return bytes(content)
    else:
        text = bytearray(files[name])
        at = rng.randrange(len(text))
        text[at : at + rng.randrange(20)] = rng.choice([b"<", b'"', b"&x;", b"9" * 40, b"</row>"])
        files[name] = bytes(text)
    return packed(files)


def test_no_damage_ends_in_a_traceback(members: Members) -> None:
    """A workbook with random damage is read, or refused in one line."""
    rng = random.Random(7)  # noqa: S311
    outcomes = set()
    for _ in range(60):
        try:
            read_workbook(mutated(members, rng))
            outcomes.add("read")
        except DataError as error:
            assert "\n" not in str(error)
            outcomes.add(type(error).__name__)
    assert {"read", "WorkbookError"} <= outcomes
