"""Reading PEDE workbooks: hand-written with each irregularity, unusable, and the real sample."""

import json
import math
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from core.contract.model import ModelContract
from mlflow_project.pede import FEATURE_NAMES, FEATURES, ReadingReport, read_workbook
from mlflow_project.pede.cells import read_number, read_phase, read_year
from mlflow_project.pede.errors import DataError, MissingColumnError, WorkbookError, YearSheetError

SAMPLE = Path(__file__).resolve().parents[4] / "shared" / "data" / "pede_sample.xlsx"
EPOCH = datetime(1899, 12, 30)
Rows = list[Sequence[Any]]


# fmt: off
def messy() -> dict[str, Rows]:
    """Return sheets of two years with the real sheets' differences in spelling."""
    return {
        "PEDE2022": [
            ("RA", "Fase", "Nome", "Ano nasc", "Idade 22", "Gênero", "Ano ingresso",
             "Instituição de ensino", "INDE 21", "IAA", "Matem", "Fase ideal", "Defas"),
            ("RA-1", "7", "Ana", 2005, 17, "Menina", 2019,
             "Escola Pública", 5.0, 8.5, "7,5", "Fase 7 (3º EM)", 0),
            ("RA-2", 0, "Bia", 2014, 8, "Menina", 2022,
             "Rede Decisão", 5.0, 10.01, None, "ALFA  (2º e 3º ano)", 0),
            ("ra-3 ", "1", "Caio", 2011, 11, "Menino", 2020,
             "Concluiu o 3º EM", 5.0, 11, "INCLUIR", "Fase 2 (5º e 6º ano)", None),
            ("RA-2", 5, "Bia de novo", 2014, 8, "Menina", 2022,
             "Rede Decisão", 5.0, 1.0, 1.0, "ALFA", 5),
            (None, 1, "Total", None, None, None, None, None, 4, 4, 4, None, None),
            (None,) * 13,
            ("RA-4", "sem fase", "Davi", None, None, "?", None,
             None, None, None, None, None, None),
        ],
        "dicionario": [("Métricas", None)],
        "pede 2023": [
            ("RA", "Fase", "Fase Ideal", "Defasagem", "Data de Nasc", "Idade",
             "IDA", "IPS", "IPS"),
            ("RA-1", "FASE 8", "Fase 8 (Universitários)", 0, "1/19/2005", datetime(1900, 1, 18),
             "#DIV/0!", None, 5.0),
            ("RA-2", "ALFA", "Fase 1 (3° e 4° ano)", -1, datetime(2014, 5, 2),
             datetime(1900, 1, 9), 6.5, None, 7.52),
            ("RA-3", "2B", None, -1, datetime(2011, 7, 1), 15, True, None, None),
        ],
    }
# fmt: on


def student(frame: pd.DataFrame, ra: str, year: int) -> pd.Series:
    """Return the one row of a student and year."""
    rows = frame[(frame["ra"] == ra) & (frame["ano"] == year)]
    assert len(rows) == 1
    return rows.iloc[0]


def count(report: ReadingReport, sheet: str, column: str, reason: str) -> int:
    """Return how many values a report counts for a sheet, column and reason; 0 if none."""
    return sum(
        e.count
        for e in report.entries
        if (e.sheet, e.column) == (sheet, column) and e.reason.startswith(reason)
    )


def test_each_spelling_becomes_the_value_it_means(save: Callable[..., Path]) -> None:
    """Phases, date ages, decimal commas, genders and schools are read alike in every year."""
    frame, _ = read_workbook(save(messy()))
    ana = student(frame, "RA-1", 2022)
    assert (ana["fase"], ana["fase_ideal"], ana["defasagem"]) == (7, 7, 0)
    assert (ana["anos_no_programa"], ana["iaa"], ana["mat"]) == (3, 8.5, 7.5)
    assert (ana["ano_nascimento"], ana["genero"], ana["instituicao"]) == (
        2005,
        "feminino",
        "publica",
    )
    bia = student(frame, "RA-2", 2022)
    assert (bia["fase"], bia["iaa"], bia["instituicao"]) == (0, 10.01, "privada")
    later = student(frame, "RA-1", 2023)
    assert (later["fase"], later["ano_nascimento"]) == (8, 2005)
    assert student(frame, "RA-2", 2023)["ano_nascimento"] == 2014
    assert student(frame, "RA-3", 2023)["fase"] == 2
    # One definition for all years: the age on 30 June, from a day of birth in any sheet.
    assert later["idade"] - ana["idade"] == 1


def test_what_follows_from_the_row_is_computed(save: Callable[..., Path]) -> None:
    """A missing lag is phase minus ideal phase, a missing ideal phase is phase minus lag."""
    frame, report = read_workbook(save(messy()))
    assert student(frame, "RA-3", 2022)["defasagem"] == -1
    assert student(frame, "RA-3", 2023)["fase_ideal"] == 3
    assert count(report, "PEDE2022", "Defas", "calculada") == 1
    assert count(report, "pede 2023", "Fase Ideal", "calculada") == 1


def test_unreadable_values_are_null_and_counted(save: Callable[..., Path]) -> None:
    """Text among numbers, formula errors and values out of range become null and are counted."""
    frame, report = read_workbook(save(messy()))
    caio = student(frame, "RA-3", 2022)
    assert math.isnan(caio["mat"]) and math.isnan(caio["iaa"])
    assert math.isnan(student(frame, "RA-1", 2023)["ida"])
    assert math.isnan(student(frame, "RA-3", 2023)["ida"])
    assert count(report, "PEDE2022", "Matem", "texto") == 1
    assert count(report, "PEDE2022", "Matem", "número escrito") == 1
    assert count(report, "PEDE2022", "IAA", "fora do intervalo") == 1
    assert count(report, "PEDE2022", "IAA", "pouco acima de 10") == 1
    assert count(report, "PEDE2022", "Fase", "fase desconhecida") == 1
    assert count(report, "PEDE2022", "Gênero", "categoria") == 1
    assert count(report, "pede 2023", "IDA", "erro de fórmula") == 1
    assert count(report, "pede 2023", "Idade", "data do Excel") == 2
    assert count(report, "pede 2023", "Idade", "não condiz") == 1
    assert count(report, "pede 2023", "Data de Nasc", "data escrita") == 1


def test_rows_that_cannot_be_used_are_dropped_and_counted(save: Callable[..., Path]) -> None:
    """Rows without RA or lag, or with a repeated RA, are dropped and counted by reason."""
    frame, report = read_workbook(save(messy()))
    assert sorted(frame.loc[frame["ano"] == 2022, "ra"]) == ["RA-1", "RA-2", "RA-3"]
    assert student(frame, "RA-2", 2022)["fase"] == 0
    assert count(report, "PEDE2022", "RA", "linha sem RA") == 1
    assert count(report, "PEDE2022", "RA", "RA repetido") == 1
    assert count(report, "PEDE2022", "Defas", "linha sem defasagem") == 1
    assert [(s.rows, s.kept) for s in report.sheets] == [(6, 3), (3, 3)]


def test_absent_and_doubled_columns(save: Callable[..., Path]) -> None:
    """An absent column is null and reported; of two equal headers the filled column is read."""
    frame, report = read_workbook(save(messy()))
    assert frame["ipp"].isna().all()
    assert count(report, "PEDE2022", "IPP", "coluna ausente") == 4
    assert student(frame, "RA-2", 2023)["ips"] == 7.52
    # INDE 21 in the sheet of 2022 is another year's value.
    assert frame["inde"].isna().all()


def test_report_is_plain_data_without_personal_values(save: Callable[..., Path]) -> None:
    """Neither table nor JSON holds an RA, a name or a cell's text."""
    _, report = read_workbook(save(messy()))
    text = json.dumps(report.to_dict(), ensure_ascii=False) + report.table()
    for personal in ("RA-", "Ana", "Bia", "Caio", "Davi", "INCLUIR", "sem fase"):
        assert personal not in text
    assert "Qtde" in report.table()
    counts = [line.rstrip() for line in report.table().splitlines()[6:]]
    assert len({len(line) for line in counts}) == 1, "the counts end under one another"


def test_frame_has_the_contracted_types(save: Callable[..., Path]) -> None:
    """Every feature is float64 and within its contract range, and the contract accepts them."""
    frame, _ = read_workbook(save(messy()))
    assert set(frame[list(FEATURE_NAMES)].dtypes.astype(str)) == {"float64"}
    contract = ModelContract("v1.0.0", FEATURES, "em_risco", 0.5, entity="ra")
    assert contract.feature_names == FEATURE_NAMES
    for feature in FEATURES:
        assert frame[feature.name].dropna().between(feature.min, feature.max).all()


@pytest.mark.parametrize(
    ("cell", "phase"),
    [
        ("7", 7),
        (7, 7),
        (7.0, 7),
        ("FASE 1", 1),
        ("fase 8", 8),
        ("1A", 1),
        ("8AB", 8),
        ("ALFA", 0),
        ("ALFA  (2º e 3º ano)", 0),
        ("Fase 2 (5° e 6° ano)", 2),
        (datetime(1900, 1, 3), 3),
        ("10", None),
        ("1º EM", None),
        ("Fase 10", None),
        ("quinta", None),
        (2.5, None),
        ("#N/A", None),
        ("", None),
    ],
)
def test_phase_spellings(cell: Any, phase: float | None) -> None:
    """Phases are read in the spellings of all three years; others are null."""
    assert read_phase(cell, EPOCH)[0] == phase


@pytest.mark.parametrize("epoch", [EPOCH, datetime(1904, 1, 1)])
def test_date_cells_give_back_the_number_typed(epoch: datetime) -> None:
    """Ages from 1 to 59 in date-formatted cells are recovered, in both of Excel's date systems."""
    from openpyxl.utils.datetime import from_excel

    for age in range(1, 60):
        assert read_number(from_excel(age, epoch), epoch)[0] == age


@pytest.mark.parametrize("cell", ["nan", "inf", "1e3", "1_0", True, "-", float("nan")])
def test_what_only_python_takes_for_a_number_is_none(cell: Any) -> None:
    """Text that only Python's `float` accepts, booleans and NaN are no numbers."""
    assert read_number(cell, EPOCH)[0] is None


def test_birth_years() -> None:
    """Birth years are read from text dates in either order, real dates and years."""
    cells = ["8/14/2012", "14/8/2012", "2012-08-14", "2012", 2012, datetime(2012, 8, 14)]
    assert {read_year(cell, EPOCH)[0] for cell in [*cells, datetime(1905, 7, 4)]} == {2012.0}
    assert read_year("8/14/12", EPOCH)[0] is None


def broken(change: Callable[[dict[str, Rows]], Any]) -> dict[str, Rows]:
    """Return the irregular workbook after a change."""
    sheets = messy()
    change(sheets)
    return sheets


def without(sheets: dict[str, Rows], title: str, *headers: str) -> None:
    """Remove columns from a sheet."""
    keep = [i for i, header in enumerate(sheets[title][0]) if header not in headers]
    sheets[title] = [tuple(row[i] for i in keep) for row in sheets[title]]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda s: s.pop("pede 2023"), YearSheetError, ["PEDE2023", "dois anos"]),
        (
            lambda s: s.update({"PEDE2025": s.pop("pede 2023")}),
            YearSheetError,
            ["PEDE2023", "2025"],
        ),
        (lambda s: (s.pop("PEDE2022"), s.pop("pede 2023")), YearSheetError, ["PEDE2022"]),
        (lambda s: s.update({"PEDE 2022": s["PEDE2022"]}), YearSheetError, ["segunda aba de 2022"]),
        (lambda s: s.update({"PEDE2022": []}), YearSheetError, ["PEDE2022", "vazia"]),
        (
            lambda s: s.update({"PEDE2022": s["PEDE2022"][:1]}),
            YearSheetError,
            ["PEDE2022", "nenhum"],
        ),
        (lambda s: without(s, "PEDE2022", "RA"), MissingColumnError, ["PEDE2022", "RA"]),
        (lambda s: without(s, "pede 2023", "Fase"), MissingColumnError, ["pede 2023", "“Fase”"]),
        (
            lambda s: without(s, "PEDE2022", "Fase ideal", "Defas"),
            MissingColumnError,
            ["PEDE2022", "“Defasagem” ou “Fase ideal”"],
        ),
        (
            lambda s: without(s, "PEDE2022", "Ano nasc", "Idade 22"),
            MissingColumnError,
            ["PEDE2022", "Idade"],
        ),
    ],
)
def test_an_unusable_workbook_names_sheet_and_column(
    save: Callable[..., Path],
    change: Callable[[dict[str, Rows]], Any],
    error: type[DataError],
    words: list[str],
) -> None:
    """The error names file, sheet and column, and no cell's content."""
    path = save(broken(change))
    with pytest.raises(error) as caught:
        read_workbook(path)
    for word in [str(path), *words]:
        assert word in str(caught.value)
    assert "Ana" not in str(caught.value) and "RA-1" not in str(caught.value)


@pytest.mark.parametrize("title", ["PEDE2022", "pede 2023"])
def test_lag_or_ideal_phase_is_enough(save: Callable[..., Path], title: str) -> None:
    """A sheet without the lag's column is read by phase and ideal phase."""
    whole, _ = read_workbook(save(messy()))
    part, report = read_workbook(
        save(broken(lambda s: without(s, title, "Defas" if title == "PEDE2022" else "Defasagem")))
    )
    assert student(part, "RA-1", 2022)["defasagem"] == student(whole, "RA-1", 2022)["defasagem"]
    assert student(part, "RA-2", 2023)["defasagem"] == -1
    assert count(report, title, "Defasagem", "coluna ausente") > 0


def test_title_lines_above_the_header_are_passed_over(save: Callable[..., Path]) -> None:
    """A title line above the header row is skipped."""
    sheets = messy()
    sheets["PEDE2022"].insert(0, ("Pesquisa 2022", None))
    frame, _ = read_workbook(save(sheets))
    assert student(frame, "RA-1", 2022)["fase"] == 7


@pytest.mark.parametrize("content", [b"RA,Fase\n1,2\n", b"", b"PK\x03\x04 cut off"])
def test_no_workbook_at_all(tmp_path: Path, content: bytes) -> None:
    """A file that is of another format, empty, truncated or missing raises WorkbookError."""
    path = tmp_path / "PEDE.xlsx"
    path.write_bytes(content)
    with pytest.raises(WorkbookError, match="não é uma planilha"):
        read_workbook(path)
    with pytest.raises(WorkbookError, match="não encontrado"):
        read_workbook(tmp_path / "outra.xlsx")


@pytest.mark.skipif(not SAMPLE.exists(), reason="the real sample is not on this machine")
def test_real_sample_is_read_whole() -> None:
    """Every student of the real sheets is kept; ages agree with births; coercions are counted."""
    frame, report = read_workbook(SAMPLE)
    assert frame.groupby("ano").size().to_dict() == {2022: 593, 2023: 707, 2024: 808}
    whole = ["fase", "idade", "fase_ideal", "defasagem", "anos_no_programa", "ano_nascimento"]
    assert frame[whole].notna().all().all()
    # The sample's days of birth were altered but not its ages, so they are not used.
    assert frame["dia_nascimento"].isna().all()
    assert set(frame["ano"] - frame["ano_nascimento"] - frame["idade"]) == {0.0, 0.5}
    assert count(report, "PEDE2023", "Idade", "data do Excel") == 279
    assert count(report, "PEDE2024", "INDE 2024", "texto") == 27
    assert count(report, "PEDE2024", "Defasagem", "difere") == 1
    dropped = [e for e in report.entries if e.action == "dropped"]
    assert {(e.column, e.count) for e in dropped} == {("Data de Nasc", 707), ("Data de Nasc", 808)}
    assert frame["genero"].notna().all()
