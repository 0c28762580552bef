"""`POST /lista`: a workbook in, a ranked list out; capture without names, and limits."""

import base64
import csv
import io
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from openpyxl import Workbook, load_workbook

from core.contract.model import Feature, ModelContract
from core.sheets import SheetError
from serving.config.settings import Settings
from serving.errors import SettingsError
from serving.lists.flat_table import FlatTable
from serving.lists.readers import MAX_UNPACKED, SheetTooLarge, check_size, named_reader
from tests.stored import read_journal

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
NAMES = ["=HYPERLINK(1)", "Ana", "+Bia", "Caio"]
TABLE = [
    ["Name", "serial", "temperature_2023", "wear", "pressure"],
    [NAMES[0], "S-1", 40.5, 9, 1000],
    [NAMES[1], "S-2", 10, 1, None],
    [NAMES[2], "S-3", 30, 5, 950],
    [NAMES[3], "S-4", 20, None, 900],
]


def xlsx(rows: list[list[Any]] = TABLE) -> bytes:
    """Return the rows as an xlsx workbook of one sheet."""
    book = Workbook()
    for row in rows:
        book.worksheets[0].append(row)
        for cell in book.worksheets[0][book.worksheets[0].max_row]:
            if isinstance(cell.value, str):
                cell.data_type = "s"
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def in_portuguese(rows: list[list[Any]] = TABLE) -> bytes:
    """Return the rows as Brazilian CSV: semicolons, decimal commas, UTF-8 with a BOM."""
    text = io.StringIO()
    lines = [[str(v).replace(".", ",") if isinstance(v, float) else v for v in r] for r in rows]
    csv.writer(text, delimiter=";").writerows(lines)
    return text.getvalue().encode("utf-8-sig")


@pytest.fixture
def proxy(
    register_version: Callable[..., int], new_model: Callable[[], str], start: Callable[..., Any]
) -> Any:
    """Return a ready proxy with a pseudonym key."""
    name = new_model()
    register_version(name, "v1.2.0", threshold=0.5)
    return start(name, pseudonym_key="k").wait_ready()


def post(proxy: Any, body: bytes, kind: str = XLSX, year: str = "", **headers: str) -> Any:
    """Return the response of /lista to a workbook."""
    address = f"/lista?year={year}" if year else "/lista"
    return proxy.http.post(address, content=body, headers={"Content-Type": kind, **headers})


def captured(proxy: Any) -> dict[str, pd.DataFrame]:
    """Return the captured rows by role from the journals, which precede the responses."""
    found = {}
    for path in proxy.journals():
        header, rows = read_journal(path)
        found[header.constants["role"]] = pd.DataFrame(rows, columns=list(header.columns))
    return found


@pytest.mark.parametrize(
    ("body", "kind"), [(xlsx(), XLSX), (in_portuguese(), "text/csv")], ids=["xlsx", "csv"]
)
def test_the_list_names_each_row_in_the_order_of_risk(proxy: Any, body: bytes, kind: str) -> None:
    """The list has the names; capture has role, period and pseudonym but, like the log, no name."""
    answer = post(proxy, body, kind)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == 'attachment; filename="lista-2023-v1.2.0.xlsx"'
    book = load_workbook(io.BytesIO(answer.content))
    about = {row[0]: row[1] for row in book["Sobre a lista"].iter_rows(values_only=True)}
    assert about["Pontuados"] == "3"
    assert about["Não pontuados"].startswith("Caio: wear null")
    head, *rows = book["Lista"].iter_rows(values_only=True)
    assert head == ("Name", "Score", "Sinalizados", "O que elevou o score")
    assert [row[0] for row in rows] == [NAMES[0], NAMES[2], NAMES[1]]
    assert [row[2] for row in rows] == ["sim", "sim", "não"]
    cells = [cell for row in book["Lista"].iter_rows() for cell in row]
    assert not [cell for cell in cells if cell.data_type == "f"]
    scores = [row[1] for row in rows]
    sent = [{"temperature": r[2], "wear": r[3], "pressure": r[4]} for r in TABLE[1:4]]
    alone = [p["failure_score"] for p in proxy.predict(*sent).json()["predictions"]]
    assert scores == pytest.approx(sorted(alone, reverse=True), abs=1e-12)
    assert proxy.health()["capture"] == {"captured": 6, "pending": 6, "lost": 0}
    listed = captured(proxy)["batch"]
    assert listed["period"].tolist() == [2023, 2023, 2023]
    assert listed["entity"].nunique() == 3
    journals = "".join(path.read_text() for path in proxy.journals())
    everything = proxy.settings.log_file.read_text() + journals
    assert not [text for text in ("Ana", "Bia", "S-1", "S-2") if text in everything]


def test_a_page_sees_progress_and_a_summary(proxy: Any) -> None:
    """NDJSON: progress per 200 rows, then counts, reasons and the file, and no row."""
    rows = [[f"N{i}", f"S-{i}", 20, 1, 1000] for i in range(250)]
    body = xlsx([TABLE[0], *rows, [*TABLE[4]]])
    answer = post(proxy, body, Accept="Application/x-NDJSON, */*;q=0.1")
    events = [json.loads(line) for line in answer.text.splitlines()]
    assert [(e["scored"], e["total"]) for e in events[:-1]] == [
        *((n, 250) for n in (0, 200, 250)),
    ]
    summary = events[-1]["summary"]
    assert (summary["read"], summary["scored"], summary["flagged"]) == (251, 250, 0)
    assert summary["unscored"][0]["count"] == 1
    assert base64.b64decode(events[-1]["content"]).startswith(b"PK")
    assert "N7" not in json.dumps(summary)


def test_the_year_of_the_rows_may_be_asked_for(proxy: Any) -> None:
    """A `year` that contradicts the rows' own period leaves them unscored, with the reason."""
    plain = [["temperature", "wear"], [20, 1]]
    assert post(proxy, xlsx(plain), year="2024").status_code == 200
    answer = post(proxy, xlsx(), year="2024", Accept="application/x-ndjson")
    summary = json.loads(answer.text.splitlines()[-1])["summary"]
    assert (summary["year"], summary["scored"]) == (2024, 0)
    reasons = " ".join(u["reason"] for u in summary["unscored"])
    assert "dois períodos diferentes" in reasons


@pytest.mark.parametrize(
    ("body", "kind", "year", "status", "code"),
    [
        (xlsx(), "multipart/form-data; boundary=x", "", 415, "unsupported_media_type"),
        (xlsx(), "text/plain", "", 415, "unsupported_media_type"),
        (xlsx(), "", "", 415, "unsupported_media_type"),
        (xlsx(), XLSX, "20x4", 422, "validation_failed"),
        (b"PK\x03\x04 no archive", XLSX, "", 422, "unreadable_sheet"),
        (b"\xff\xfe", "text/csv", "", 422, "unreadable_sheet"),
        (b"a,b\n1,2\n", "text/csv", "", 422, "unreadable_sheet"),
        (b"wear,wear\n1,2\n", "text/csv", "", 422, "unreadable_sheet"),
        (b"", "text/csv", "", 422, "unreadable_sheet"),
    ],
)
def test_what_is_no_workbook_is_refused_in_the_one_shape(
    proxy: Any, body: bytes, kind: str, year: str, status: int, code: str
) -> None:
    """Other content types, invalid years and unreadable files are refused; no body is repeated."""
    answer = post(proxy, body, kind, year)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert "no archive" not in answer.text


def test_a_workbook_has_limits(
    proxy: Any, register_version: Callable[..., int], start: Callable[..., Any]
) -> None:
    """Uploads are limited in bytes, unpacked size and archive members, before unpacking."""
    small = start(proxy.settings.model_name, max_sheet_bytes=1000).wait_ready()
    answer = post(small, xlsx())
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", bytes(MAX_UNPACKED + 1))
    assert len(bomb.getvalue()) < 200_000
    answer = post(proxy, bomb.getvalue())
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "sheet_too_large")
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w") as archive:
        for number in range(2001):
            archive.writestr(str(number), b"")
    with pytest.raises(SheetTooLarge):
        check_size(many.getvalue())


def test_the_same_keys_open_it(
    register_version: Callable[..., int], new_model: Callable[[], str], start: Callable[..., Any]
) -> None:
    """/lista accepts the key by X-API-Key and as a Basic password, which a 401 asks for."""
    name = new_model()
    register_version(name)
    proxy = start(name, api_keys=Settings(api_keys="key").api_keys).wait_ready()
    for answer in (proxy.http.get("/lista"), post(proxy, xlsx())):
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic")
    assert post(proxy, xlsx(), **{"X-API-Key": "key"}).status_code == 200
    basic = {"Authorization": "Basic " + base64.b64encode(b"any:key").decode()}
    assert proxy.http.get("/lista", headers=basic).status_code == 200


def test_a_command_may_score_its_own_rows_as_a_list(proxy: Any) -> None:
    """`/predict/batch` returns the predictions of `/predict` and is captured with role batch."""
    row = {"temperature_2023": 40, "wear": 9}
    body = {"instances": [row], "explain": True}
    one, other = (proxy.http.post(p, json=body).json() for p in ("/predict", "/predict/batch"))
    assert one["predictions"] == other["predictions"]
    found = captured(proxy)
    assert found["primary"]["request_id"].tolist() == [one["request_id"]]
    assert found["batch"]["request_id"].tolist() == [other["request_id"]]
    assert [rows["period"].tolist() for rows in found.values()] == [[2023], [2023]]


READER = """
from core.sheets import Sheet, SheetError, SheetProblem, Unscored

def read(content, year=None):
    if content == b"bad":
        raise SheetError("the sheet {name} is not there", name="X")
    problems = [SheetProblem("S1", "wear", "unreadable", 3)]
    unscored = [Unscored({"Name": "Zoe"}, "a summary row")]
    return Sheet([{"wear": 9.0, "temperature": 50.0}], [{"Name": "Ana"}], 2024, problems, unscored)

def write(scored):
    names = ",".join(f"{labels['Name']}={result.label}" for labels, result in
        zip(scored.sheet.labels, scored.results))
    return f"{names} {scored.release}".encode()
"""


def test_a_named_reader_reads_and_writes(
    register_version: Callable[..., int],
    new_model: Callable[[], str],
    start: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SHEET_READER's module reads and writes the workbooks; its errors and problems are shown."""
    (tmp_path / "a_sheet_reader.py").write_text(READER)
    monkeypatch.syspath_prepend(tmp_path)
    name = new_model()
    register_version(name, "v1.2.0", threshold=0.5)
    proxy = start(name, sheet_reader="a_sheet_reader").wait_ready()
    answer = post(proxy, b"x")
    assert answer.content == b"Ana=1 v1.2.0"
    assert "lista-2024-v1.2.0.xlsx" in answer.headers["content-disposition"]
    last = post(proxy, b"x", Accept="application/x-ndjson").text.splitlines()[-1]
    summary = json.loads(last)["summary"]
    assert summary["problems"] == [
        {"sheet": "S1", "column": "wear", "reason": "unreadable", "count": 3}
    ]
    assert summary["unscored"] == [{"reason": "a summary row", "count": 1}]
    assert (summary["read"], summary["year"]) == (2, 2024)
    answer = post(proxy, b"bad")
    assert (answer.status_code, answer.json()["error"]["message"]) == (
        *(422, "the sheet X is not there"),
    )
    sys.modules.pop("a_sheet_reader")


@pytest.mark.parametrize("name", ["no.such.module", "json:nothing", "json", "serving.app:x", ":"])
def test_a_reader_that_is_none_stops_the_start(name: str) -> None:
    """An invalid SHEET_READER raises SettingsError with the setting's name."""
    with pytest.raises(SettingsError, match="SHEET_READER"):
        named_reader(name)


def test_a_flat_table_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of more than MOST_ROWS rows is refused."""
    monkeypatch.setattr("serving.lists.flat_table.MOST_ROWS", 10)
    table = FlatTable(ModelContract("v1.0.0", (Feature("x"),), "t", 0.5))
    assert len(table.read(b"x\n" + b"1\n" * 9).rows) == 9
    with pytest.raises(SheetError, match="10"):
        table.read(b"x\n" + b"1\n" * 11)
