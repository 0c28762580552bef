"""A new workbook is converted to the labels that monitoring reads, without personal data."""

from pathlib import Path

import pandas as pd
import pytest

from core.contract.pseudonym import pseudonym
from data.synthetic import generate_workbook, write_workbook
from mlflow_project.dataset.risk import build_contract
from mlflow_project.make_dataset import main
from mlflow_project.pede import read_workbook
from monitoring.performance.labels import read_labels

KEY = "segredo"


@pytest.fixture(scope="module")
def workbook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a workbook with the newest year's sheet alone."""
    sheets = generate_workbook(80, seed=5)
    path = tmp_path_factory.mktemp("labels") / "PEDE2024.xlsx"
    write_workbook({"PEDE2024": sheets["PEDE2024"]}, path)
    return path


def write(workbook: Path, output: Path) -> int:
    """Run the command in this process; return its exit code."""
    return main(["--labels", str(workbook), "--output", str(output)])


def test_monitoring_reads_what_the_command_writes(
    workbook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels are keyed by stored pseudonym and period t, with 1 for a lag in the sheet of t+1."""
    monkeypatch.setenv("PSEUDONYM_KEY", KEY)
    output = tmp_path / "out" / "labels.parquet"
    assert write(workbook, output) == 0
    labels = read_labels(output, build_contract("v1.0.0", 0.5, {}, 0.5))
    assert (labels.by, labels.n_unknown, labels.n_duplicates, labels.n_conflicts) == (
        "entity",
        0,
        0,
        0,
    )
    sheet = pd.read_excel(workbook, sheet_name="PEDE2024")
    expected = {
        (pseudonym(ra, KEY), 2023): int(lag < 0)
        for ra, lag in zip(sheet["RA"], sheet["Defasagem"], strict=True)
        if lag == lag
    }
    assert labels.targets == expected
    assert set(expected.values()) == {0, 1}


def test_nothing_written_identifies_a_child(
    workbook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file holds pseudonym, label and year alone: no RA, name or grade."""
    monkeypatch.setenv("PSEUDONYM_KEY", KEY)
    output = tmp_path / "labels.parquet"
    write(workbook, output)
    assert b"RA-" not in output.read_bytes()
    assert list(pd.read_parquet(output).columns) == ["entity", "target", "outcome_year"]


def test_the_newest_sheet_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several sheets the newest gives the labels, unless `--year` selects another."""
    monkeypatch.setenv("PSEUDONYM_KEY", KEY)
    path = tmp_path / "all.xlsx"
    write_workbook(generate_workbook(60, seed=6), path)
    write(path, tmp_path / "labels.parquet")
    labels = pd.read_parquet(tmp_path / "labels.parquet")
    frame, _ = read_workbook(path)
    newest = frame[frame["ano"] == 2024]
    assert set(labels["entity"]) == {pseudonym(ra, KEY) for ra in newest["ra"]}
    assert set(labels["outcome_year"]) == {2024}
    arguments = ["--labels", str(path), "--year", "2023", "--output", str(tmp_path / "l.parquet")]
    assert main(arguments) == 0
    older = pd.read_parquet(tmp_path / "l.parquet")
    assert set(older["outcome_year"]) == {2023}
    assert len(older) == (frame["ano"] == 2023).sum()


@pytest.mark.parametrize(
    ("key", "file", "said"), [("", "", "PSEUDONYM_KEY"), (KEY, "x", "arquivo")]
)
def test_what_is_missing_is_said_in_one_line(
    workbook: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    key: str,
    file: str,
    said: str,
) -> None:
    """A missing key or workbook ends with exit code 2 and one line; no file is written."""
    monkeypatch.setenv("PSEUDONYM_KEY", key)
    output = tmp_path / "labels.parquet"
    assert write(workbook.with_name(file) if file else workbook, output) == 2
    error = capsys.readouterr().err
    assert said in error and len(error.splitlines()) == 1
    assert not output.exists()


@pytest.mark.parametrize("name", ["PEDE2024.csv", "abas-salvas.csv", "PEDE2024.parquet"])
def test_a_sheet_saved_as_a_flat_table_says_the_same(
    workbook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """CSV as Excel in Portuguese saves it and Parquet give equal labels; the name has the year."""
    monkeypatch.setenv("PSEUDONYM_KEY", KEY)
    flat, form = tmp_path / name, {"sep": ";", "decimal": ",", "encoding": "cp1252"}
    if flat.suffix == ".csv":
        sheet = pd.read_excel(workbook, sheet_name="PEDE2024", header=None)
        assert list(sheet.loc[0]).count("Ativo/ Inativo") == 2
        sheet.to_csv(flat, **form, index=False, header=False, errors="replace")
    else:
        sheet = pd.read_excel(workbook, sheet_name="PEDE2024")
        sheet.astype(str).replace("nan", None).to_parquet(flat)
    year = () if "2024" in name else ("--year", "2024")
    assert write(workbook, tmp_path / "a.parquet") == 0
    assert main(["--labels", str(flat), "--output", str(tmp_path / "b.parquet"), *year]) == 0
    one, other = (pd.read_parquet(tmp_path / f"{letter}.parquet") for letter in "ab")
    pd.testing.assert_frame_equal(one, other)


def test_a_flat_table_of_no_year_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A flat table without a year in its name ends with exit code 2 and a line naming --year."""
    monkeypatch.setenv("PSEUDONYM_KEY", KEY)
    (tmp_path / "lista.csv").write_text("RA;Fase;Defasagem\nRA-1;3;-1\n")
    assert write(tmp_path / "lista.csv", tmp_path / "labels.parquet") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--year" in line and "PEDE" in line
