"""The list of children: order, reasons, rows not scored, and protection against formulas."""

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from openpyxl import Workbook, load_workbook

from core.sheets import Result, ScoredSheet, Sheet, SheetError, SheetProblem, Unscored
from data.synthetic import generate_workbook, write_workbook
from mlflow_project.lists import read, write
from mlflow_project.lists.reasons import FEWEST_PEERS, Common, missing, reasons
from mlflow_project.lists.table import lines, write_csv
from mlflow_project.pede import EXAMPLE


def child(**values: Any) -> dict[str, Any]:
    """Return the contract's example as a row, with these values."""
    return {**EXAMPLE, "ra": "RA-1", **values}


def scored(rows: Sequence[dict[str, Any]], scores: Sequence[float]) -> ScoredSheet:
    """Return a scored sheet of children numbered by position, flagged from 0.5 on."""
    effects = [
        {"feature": "ieg", "description": "", "effect": 0.2, "reference": 7.5},
        {"feature": "ida", "description": "", "effect": -0.3, "reference": 6.5},
        {"feature": "mat", "description": "", "effect": 0.1, "reference": 6.0},
    ]
    return ScoredSheet(
        Sheet(
            rows,
            [{"RA": f"RA-{i}", "Nome": f"Aluno {i}", "Turma": "A"} for i in range(len(rows))],
            2024,
            [SheetProblem("PEDE2024", "Mat", "ilegível", 3)],
            [Unscored({"RA": "RA-99", "Nome": "Outra", "Turma": "B"}, "sem defasagem")],
        ),
        [Result(score, int(score >= 0.5), effects) for score in scores],
        model_name="risco-defasagem",
        release="v1.2.0",
        threshold=0.5,
        when=datetime(2025, 3, 1, tzinfo=UTC),
    )


def test_children_are_in_order_of_risk_and_ties_in_the_workbooks_order() -> None:
    """Lines are sorted by score, highest first, each with its labels; ties keep their order."""
    found = lines(scored([child() for _ in range(4)], [0.2, 0.7, 0.2, 0.9]))
    assert [line.labels["RA"] for line in found] == ["RA-3", "RA-1", "RA-0", "RA-2"]
    assert [line.flagged for line in found] == [True, True, False, False]


def test_reasons_are_the_inputs_that_raised_the_score_beside_the_childs_peers() -> None:
    """Reasons are inputs with a positive effect, compared with the child's own phase."""
    peers = [child(ieg=5.0 + i / 10, fase=3) for i in range(FEWEST_PEERS)]
    others = [child(ieg=1.0, fase=4) for _ in range(3 * FEWEST_PEERS)]
    common = Common.of([*peers, *others])
    effects = scored([child()], [0.9]).results[0]
    found = reasons(effects, child(ieg=4.2, fase=3, mat=None), common)
    assert found == [
        "Indicador de engajamento 4,2: abaixo do que é comum na fase 3",
        "Nota de matemática: não se sabe",
    ]
    assert reasons(effects, child(ieg=8.0, fase=3), common)[0].endswith(
        "8: acima do que é comum na fase 3"
    )
    assert reasons(effects, child(ieg=5.5, fase=3), common)[0].endswith("5,5: comum na fase 3")


def test_a_phase_of_few_children_is_compared_with_the_whole_list() -> None:
    """A phase with fewer than `FEWEST_PEERS` children is compared with the whole list."""
    rows = [*(child(fase=3) for _ in range(FEWEST_PEERS)), child(fase=8, ieg=1.0)]
    common = Common.of(rows)
    assert common.sentence("ieg", rows[-1]).endswith("1: abaixo do que é comum nesta lista")
    assert common.sentence("ieg", child(fase=None, ieg=1.0)).endswith("nesta lista")


def test_inputs_without_a_value_are_named() -> None:
    """Missing inputs are listed by display name; the text is empty if there are none."""
    assert missing(child()) == ""
    assert missing(child(ieg=None, mat=None)) == "Indicador de engajamento, Nota de matemática"


def test_the_workbook_says_what_it_is_and_who_is_on_it() -> None:
    """The workbook has three sheets: summary with disclaimer, children, and rows not scored."""
    book = load_workbook(io.BytesIO(write(scored([child(), child(ieg=None)], [0.25, 0.75]))))
    about, table, left_out = book.worksheets
    text = [str(cell) for row in about.iter_rows(values_only=True) for cell in row if cell]
    for wanted in ("risco-defasagem v1.2.0", "0,500", "1 (50 %)", "ilegível: 3"):
        assert wanted in text
    assert any(cell.startswith(("01/03/2025", "28/02/2025")) for cell in text)
    assert any("Não decide nada" in cell for cell in text)
    header, first, second = table.iter_rows(values_only=True)
    assert header[:6] == ("Ordem", "RA", "Nome", "Turma", "Score", "Sinalizada?")
    assert first[:6] == (1, "RA-1", "Aluno 1", "A", 0.75, "sim")
    assert second[:6] == (2, "RA-0", "Aluno 0", "A", 0.25, "não")
    assert "Indicador de engajamento" in str(first[-1])
    assert [row[0] for row in left_out.iter_rows(values_only=True)] == ["RA", "RA-99"]
    assert {(p.sheet_properties.pageSetUpPr.fitToPage, p.page_setup.fitToHeight) for p in book} == {
        (True, 0)
    }
    assert table.print_title_rows == "$1:$1"


@pytest.mark.parametrize("beginning", ["=", "+", "-", "@"])
def test_text_that_begins_like_a_formula_stays_text(beginning: str) -> None:
    """Text such as `=1+1` is a quoted string cell in Excel, and gets an apostrophe in CSV."""
    one = scored([child()], [0.9])
    name = f"{beginning}1+1"
    one = replace(one, sheet=replace(one.sheet, labels=[{"RA": "RA-0", "Nome": name}]))
    cell = load_workbook(io.BytesIO(write(one))).worksheets[1]["C2"]
    assert (cell.value, cell.data_type, cell.quotePrefix) == (name, "s", True)
    rows = list(csv.reader(io.StringIO(write_csv(one).decode("utf-8-sig")), delimiter=";"))
    assert rows[1][2] == f"'{name}"


def test_csv_has_semicolons_and_decimal_commas() -> None:
    """CSV has the separators of a spreadsheet in Portuguese."""
    text = write_csv(scored([child()], [0.875])).decode("utf-8-sig")
    header, line = csv.reader(io.StringIO(text), delimiter=";")
    assert header[:2] == ["Ordem", "RA"]
    assert "0,8750" in line


def test_a_control_character_in_a_name_does_not_break_the_file() -> None:
    """Control characters, which Excel refuses, are removed."""
    one = scored([child()], [0.9])
    one = replace(one, sheet=replace(one.sheet, labels=[{"Nome": "A\x00na"}]))
    assert load_workbook(io.BytesIO(write(one))).worksheets[1]["B2"].value == "Ana"


def test_the_newest_sheet_of_a_workbook_is_read(tmp_path: Any) -> None:
    """The newest sheet is read by default, without a following year, or the given year's."""
    path = tmp_path / "pede.xlsx"
    write_workbook(generate_workbook(40, 1), path)
    sheet = read(path.read_bytes())
    assert sheet.year == 2024
    assert len(sheet.rows) == len(sheet.labels) > 10
    assert all(row["ra"].startswith("RA-") for row in sheet.rows)
    assert read(path.read_bytes(), 2022).year == 2022


def test_what_is_no_pede_workbook_is_refused_in_one_sentence() -> None:
    """A file that is no PEDE workbook raises SheetError."""
    with pytest.raises(SheetError):
        read(b"no workbook")
    file = io.BytesIO()
    Workbook().save(file)
    with pytest.raises(SheetError, match="PEDE"):
        read(file.getvalue())
