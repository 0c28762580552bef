"""Sheets that contradict themselves or each other, spellings of RAs, and summary rows."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from core.contract.pseudonym import canonical, pseudonym
from data.synthetic import generate_workbook, write_workbook
from mlflow_project.make_dataset import main, make_dataset
from mlflow_project.pede import read_workbook
from mlflow_project.pede.errors import ContradictionError
from tests.live import SAMPLE

Sheets = dict[str, pd.DataFrame]


@pytest.fixture
def sheets() -> Sheets:
    """Return the sheets of a synthetic workbook of 150 students."""
    return generate_workbook(150, seed=4)


@pytest.fixture
def read(tmp_path: Path) -> Callable[[Sheets], pd.DataFrame]:
    """Return a function that writes sheets as a workbook and returns the table read from it."""

    def written(sheets: Sheets) -> pd.DataFrame:
        write_workbook(sheets, tmp_path / "pede.xlsx")
        return read_workbook(tmp_path / "pede.xlsx")[0]

    return written


def test_exchanged_sheets_are_refused(sheets: Sheets, read: Callable[[Sheets], object]) -> None:
    """Sheets under each other's years are refused; the error names columns and the fitting year."""
    sheets["PEDE2023"], sheets["PEDE2024"] = sheets["PEDE2024"], sheets["PEDE2023"]
    with pytest.raises(ContradictionError) as caught:
        read(sheets)
    for word in ("aba PEDE2023", "“Idade”", "“Data de Nasc”", "condizem com 2024", "trocadas"):
        assert word in str(caught.value)


def test_a_column_sorted_alone_is_refused(sheets: Sheets, read: Callable[[Sheets], object]) -> None:
    """A lag column sorted by itself contradicts the phases and is refused."""
    sheets["PEDE2023"]["Defasagem"] = sorted(sheets["PEDE2023"]["Defasagem"])
    with pytest.raises(ContradictionError) as caught:
        read(sheets)
    for word in ("“Defasagem”", "“Fase”", "“Fase Ideal”", "PEDE2023"):
        assert word in str(caught.value)
    assert "RA-" not in str(caught.value)


def test_identities_sorted_alone_are_refused(
    sheets: Sheets, read: Callable[[Sheets], object]
) -> None:
    """RAs sorted by themselves have other birth years than in another sheet and are refused."""
    sheets["PEDE2023"]["RA"] = sorted(sheets["PEDE2023"]["RA"])
    with pytest.raises(
        ContradictionError, match="RAs têm outro ano de nascimento que na aba PEDE2"
    ):
        read(sheets)


def test_a_few_contradictions_are_kept(sheets: Sheets, read: Callable[[Sheets], object]) -> None:
    """Contradictions in 4 % of the rows are accepted as typing errors; in 12 % they are refused."""
    late = sheets["PEDE2024"]
    few = int(0.04 * len(late))
    assert few > 3
    column = list(late.columns).index("Defasagem")
    late.iloc[:few, column] = [1 + lag for lag in late.iloc[:few, column]]
    read(sheets)
    late.iloc[: 3 * few, column] = [2 + lag for lag in late.iloc[: 3 * few, column]]
    with pytest.raises(ContradictionError):
        read(sheets)


@pytest.mark.skipif(not SAMPLE.exists(), reason="the real sample is not on this machine")
def test_the_real_sheets_agree_and_exchanged_they_do_not(tmp_path: Path) -> None:
    """The real sheets are read, also when moved by a year; two exchanged ones are refused."""
    real = pd.read_excel(SAMPLE, sheet_name=None, dtype=object)
    years = {name: real[name] for name in ("PEDE2022", "PEDE2023", "PEDE2024")}
    path = tmp_path / "moved.xlsx"
    write_workbook({f"PEDE{int(name[4:]) + 1}": frame for name, frame in years.items()}, path)
    assert set(read_workbook(path)[0]["ano"]) == {2023, 2024, 2025}
    years["PEDE2023"], years["PEDE2024"] = years["PEDE2024"], years["PEDE2023"]
    write_workbook(years, path)
    with pytest.raises(ContradictionError, match="681 de 808 valores de “Idade”"):
        read_workbook(path)


@pytest.mark.parametrize(
    "spelling",
    ["RA-12", "ra 12", "RA12", " 12", "RA_012", "RA Nº 12", "12.0", "RA–12", "RA: 12", "１２"],
)
def test_spellings_of_one_identity(spelling: str) -> None:
    """Spellings of one number have one canonical form and one pseudonym."""
    assert canonical(spelling, "RA") == "RA-12"
    assert pseudonym(canonical(spelling, "RA"), "k") == pseudonym("RA-12", "k")


@pytest.mark.parametrize("other", ["RA-12-B", "2023/12", "RA-120", "12 13", "-1.5"])
def test_other_identities_stay_apart(other: str) -> None:
    """Identities with more than a number, or another number, are not merged."""
    assert canonical(other, "RA") != "RA-12"


def test_half_the_identities_written_another_way_make_the_same_dataset(
    sheets: Sheets, tmp_path: Path
) -> None:
    """Other spellings of the RAs give the same dataset, and the report counts them."""
    expected, found = tmp_path / "a.parquet", tmp_path / "b.parquet"
    write_workbook(sheets, tmp_path / "pede.xlsx")
    make_dataset(tmp_path / "pede.xlsx", expected, "key")
    ra = sheets["PEDE2023"]["RA"]
    half = [one.replace("-", " ") if i % 2 else int(one[3:]) for i, one in enumerate(ra)]
    sheets["PEDE2023"]["RA"] = pd.Series(half, dtype="object")
    write_workbook(sheets, tmp_path / "pede.xlsx")
    report = make_dataset(tmp_path / "pede.xlsx", found, "key")
    pd.testing.assert_frame_equal(pd.read_parquet(found), pd.read_parquet(expected))
    counted = {e.sheet: e.count for e in report.entries if e.column == "RA"}
    assert counted == {"PEDE2023": len(ra)}


def test_few_children_reappearing_is_said(
    sheets: Sheets, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The summary states the share of students who reappear, with a warning if it is low."""
    path, arguments = tmp_path / "pede.xlsx", ["--source", str(tmp_path / "pede.xlsx")]
    write_workbook(sheets, path)
    assert main([*arguments, "--output", str(tmp_path / "d.parquet")]) == 0
    usual = capsys.readouterr().out
    assert "dos de 2022 reaparecem" in usual and "Atenção" not in usual
    ra = sheets["PEDE2023"]["RA"]
    sheets["PEDE2023"]["RA"] = [f"N{one}" if i % 5 else one for i, one in enumerate(ra)]
    write_workbook(sheets, path)
    assert main([*arguments, "--output", str(tmp_path / "d.parquet")]) == 0
    assert "Atenção: só" in capsys.readouterr().out


def test_a_summary_row_is_no_child(sheets: Sheets, read: Callable[[Sheets], pd.DataFrame]) -> None:
    """A summary row such as a total or mean is left out."""
    whole = read(sheets)
    for name in ("Média", "TOTAL", "Total: 200", "média geral", "Desvio padrão"):
        added = {sheet: frame.copy() for sheet, frame in sheets.items()}
        for frame in added.values():
            if "RA" in frame:
                last = frame.iloc[-1].copy()
                last["RA"] = name
                frame.loc[len(frame)] = last.to_numpy()
        pd.testing.assert_frame_equal(read(added), whole)
