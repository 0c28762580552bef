"""The list reader: labels and inputs of one year's children, and rows that cannot be scored."""

from pathlib import Path

import pandas as pd
import pytest

from data.synthetic import generate_workbook, write_workbook
from mlflow_project.dataset.pairs import build_dataset
from mlflow_project.dataset.risk import build_contract
from mlflow_project.pede import FEATURE_NAMES, FEATURES, read_list, read_workbook
from mlflow_project.pede.errors import YearSheetError
from tests.live import SAMPLE


@pytest.fixture
def sheets() -> dict[str, pd.DataFrame]:
    """Return the sheets of a small synthetic workbook."""
    return generate_workbook(60, seed=3)


def test_the_newest_sheet_alone_is_enough(sheets: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    """A workbook of one sheet is read: each child has entity, features within range, and labels."""
    sheet = sheets["PEDE2024"]
    path = tmp_path / "pede.xlsx"
    write_workbook({"PEDE2024": sheet}, path)
    found = read_list(path.read_bytes())
    contract = build_contract("v1.0.0", 0.5, {}, 0.5)
    assert found.year == 2024
    assert {tuple(row) for row in found.rows} == {(contract.entity, *contract.feature_names)}
    assert [row["ra"] for row in found.rows] == list(sheet["RA"])
    assert [label["RA"] for label in found.labels] == list(sheet["RA"])
    assert [label["Nome"] for label in found.labels] == list(sheet["Nome Anonimizado"])
    assert [label["Turma"] for label in found.labels] == [str(one) for one in sheet["Turma"]]
    assert [label["Fase"] for label in found.labels] == [str(one) for one in sheet["Fase"]]
    for feature in FEATURES:
        for row in found.rows:
            value = row[feature.name]
            assert value is None or feature.min <= value <= feature.max
    assert any(row["ida"] is None for row in found.rows)
    assert ("PEDE2024", "IPV") in {(entry.sheet, entry.column) for entry in found.problems}


def test_a_list_and_a_dataset_say_the_same_of_a_year(
    sheets: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    """A list's features equal those of the training dataset for the same year."""
    path = tmp_path / "pede.xlsx"
    write_workbook(sheets, path)
    dataset = build_dataset(read_workbook(path)[0], None)
    trained = dataset[dataset["reference_year"] == 2023][list(FEATURE_NAMES)]
    rows = pd.DataFrame(read_list(path, 2023).rows)[list(FEATURE_NAMES)].astype("float64")
    both = trained.merge(rows.drop_duplicates(), how="left", indicator=True)
    assert set(both["_merge"]) == {"both"}


def test_who_cannot_be_scored_is_told_and_why(
    sheets: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    """Rows without RA or lag, or of a repeated RA, are listed with the reason; totals are not."""
    sheet = sheets["PEDE2024"].copy()
    place = {name: list(sheet.columns).index(name) for name in ("RA", "Defasagem", "Fase Ideal")}
    sheet.iloc[0, place["RA"]] = None
    sheet.iloc[1, place["RA"]] = sheet.iloc[2, place["RA"]].replace("-", " ")
    sheet.iloc[3, [place["Defasagem"], place["Fase Ideal"]]] = None
    sheet.iloc[4, place["RA"]] = "Total"
    path = tmp_path / "pede.xlsx"
    write_workbook({"PEDE2024": sheet}, path)
    found = read_list(path)
    names = list(sheet["Nome Anonimizado"])
    told = {child.labels["Nome"]: child.reason for child in found.unscored}
    assert told == {
        names[0]: "linha sem RA",
        names[2]: "RA repetido: vale a primeira linha",
        names[3]: "linha sem defasagem",
    }
    assert len(found.rows) == len(found.labels) == len(sheet) - 4
    problems = {(entry.column, entry.reason): entry.count for entry in found.problems}
    assert problems["RA", "linha de resumo (“Total”, “Média”), não é estudante"] == 1


def test_a_year_that_is_not_there(sheets: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    """The given year is read; if it has no sheet, the error names the years that have one."""
    path = tmp_path / "pede.xlsx"
    write_workbook(sheets, path)
    assert read_list(path, 2022).year == 2022
    with pytest.raises(YearSheetError, match=r"PEDE2025: aba ausente. Anos na planilha: 2022"):
        read_list(path, 2025)


@pytest.mark.skipif(not SAMPLE.exists(), reason="the real sample is not on this machine")
def test_every_child_of_the_real_sample() -> None:
    """Every row of the newest real sheet can be scored, and has RA, name and class."""
    found = read_list(SAMPLE)
    assert (found.year, len(found.rows), list(found.unscored)) == (2024, 808, [])
    assert all(label["RA"] and label["Nome"] and label["Turma"] for label in found.labels)
    assert not any(isinstance(v, str) for row in found.rows for k, v in row.items() if k != "ra")
