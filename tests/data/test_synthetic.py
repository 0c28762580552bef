"""The synthetic workbook: the real one's layout and defects, and consistent years."""

from datetime import datetime
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from data.synthetic import generate_workbook, main, write_workbook
from mlflow_project.dataset.pairs import build_dataset
from mlflow_project.pede import FEATURE_NAMES, ReadingReport, read_workbook

SAMPLE = Path(__file__).resolve().parents[3] / "shared" / "data" / "pede_sample.xlsx"


@pytest.fixture(scope="module")
def read_back(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, ReadingReport]:
    """Return the default workbook as parsed by the reader."""
    path = tmp_path_factory.mktemp("raw") / "pede.xlsx"
    write_workbook(generate_workbook(1200, seed=7), path)
    return read_workbook(path)


@pytest.fixture(scope="module")
def dataset(read_back: tuple[pd.DataFrame, ReadingReport]) -> pd.DataFrame:
    """Return the modelling dataset of the default workbook."""
    return build_dataset(read_back[0], None)


def cells(path: Path) -> list[list[object]]:
    """Return all cells of a workbook with their types and formats, sheet after sheet."""
    workbook = openpyxl.load_workbook(path)
    return [
        [(c.coordinate, c.data_type, c.number_format, c.value) for row in sheet for c in row]
        for sheet in workbook
    ]


def test_same_seed_same_cells(tmp_path: Path) -> None:
    """Equal seeds give equal workbooks, different seeds different ones."""
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        write_workbook(generate_workbook(40, seed), tmp_path / f"{name}.xlsx")
    first, again, other = (cells(tmp_path / f"{name}.xlsx") for name in "abc")
    assert first == again
    assert first != other


@pytest.mark.parametrize("students", [1, 2, 5, 37])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_any_number_of_students_can_be_read(students: int, seed: int, tmp_path: Path) -> None:
    """Even with one student every year has a row, and each pair of years has a student."""
    write_workbook(generate_workbook(students, seed), tmp_path / "pede.xlsx")
    frame, _ = read_workbook(tmp_path / "pede.xlsx")
    assert set(frame["ano"]) == {2022, 2023, 2024}
    assert set(build_dataset(frame, None)["reference_year"]) == {2022, 2023}


def test_students_are_counted_once_over_the_years() -> None:
    """`--students` is the number of distinct students; each has one row a year at most."""
    sheets = generate_workbook(500, seed=2)
    years = [sheets[f"PEDE{year}"]["RA"] for year in (2022, 2023, 2024)]
    assert len(set().union(*years)) == 500
    assert all(ra.is_unique for ra in years)
    assert 0 < len(set(years[0]) - set(years[1])) < len(years[0])  # some leave
    assert len(set(years[1]) - set(years[0])) > 0  # some are new


def test_a_year_more_continues_the_same_students() -> None:
    """Further years leave earlier sheets unchanged; their sheets have known and new students."""
    short, longer = generate_workbook(300, 3), generate_workbook(300, 3, range(2022, 2027))
    later = generate_workbook(300, 3, [2024, 2025])
    for title, frame in short.items():
        pd.testing.assert_frame_equal(frame, longer[title])
    assert set(later) == {"PEDE2024", "PEDE2025", "dicionario"}
    pd.testing.assert_frame_equal(later["PEDE2025"], longer["PEDE2025"])
    before = set().union(*(set(short[f"PEDE{year}"]["RA"]) for year in (2022, 2023, 2024)))
    new = longer["PEDE2025"]["RA"]
    assert new.is_unique
    assert 0.15 < np.mean(~new.isin(before)) < 0.4
    assert new.isin(set(short["PEDE2024"]["RA"])).sum() > 0.6 * len(short["PEDE2024"])


def test_later_years_are_read_like_the_latest(tmp_path: Path) -> None:
    """Headers name their own year and past ones; no row is lost; 30 to 70 % are at risk."""
    sheets = generate_workbook(400, 5, range(2022, 2027))
    headers = list(sheets["PEDE2026"].columns)
    assert {"INDE 2026", "Pedra 2026", "INDE 25", "Pedra 24"} <= set(headers)
    assert "INDE 26" not in headers and "INDE 2024" not in headers
    write_workbook(sheets, tmp_path / "pede.xlsx")
    frame, report = read_workbook(tmp_path / "pede.xlsx")
    assert all(sheet.rows == sheet.kept for sheet in report.sheets)
    assert frame["inde"].notna().groupby(frame["ano"]).mean().min() > 0.6
    pairs = build_dataset(frame, None)
    assert pairs.groupby("reference_year").size().min() > 100
    assert pairs.groupby("reference_year")["em_risco"].mean().between(0.3, 0.7).all()


def test_mess_is_that_of_the_real_sheets() -> None:
    """Dates as ages, phase spellings, births as text, INCLUIR, empty and repeated columns occur."""
    sheets = generate_workbook(1200, seed=7)
    early, middle, late = (sheets[f"PEDE{year}"] for year in (2022, 2023, 2024))
    assert set(early["Fase"].map(type)) == {str}
    assert set(middle["Fase"]) >= {"ALFA", "FASE 1"}
    assert {type(phase) for phase in late["Fase"]} == {str, int}
    dates = middle["Idade"].map(lambda cell: isinstance(cell, datetime))
    assert 0.3 < dates.mean() < 0.5
    assert (dates == middle["Data de Nasc"].map(lambda cell: isinstance(cell, datetime))).all()
    assert "INCLUIR" in set(late["INDE 2024"])
    assert middle["Cg"].isna().all() and "IPP" not in early
    assert list(middle.columns).count("Destaque IPV") == 2
    assert list(late.columns).count("Ativo/ Inativo") == 2


def test_reader_reads_every_row(read_back: tuple[pd.DataFrame, ReadingReport]) -> None:
    """The reader loses no generated row, and reports the converted and unreadable cells."""
    frame, report = read_back
    assert all(sheet.rows == sheet.kept for sheet in report.sheets)
    assert frame[["fase", "idade", "fase_ideal", "defasagem", "genero"]].notna().all().all()
    assert (frame["defasagem"] == frame["fase"] - frame["fase_ideal"]).all()
    assert not [e for e in report.entries if e.action == "dropped" or "condiz" in e.reason]
    reasons = {(entry.sheet, entry.column, entry.action) for entry in report.entries}
    assert ("PEDE2023", "Idade", "converted") in reasons
    assert ("PEDE2024", "INDE 2024", "unreadable") in reasons


def test_years_belong_together(dataset: pd.DataFrame) -> None:
    """The shares at risk, and how lagging predicts risk a year later, are near the real ones."""
    share = dataset.groupby("reference_year")["em_risco"].mean()
    assert 0.54 < share[2022] < 0.67
    assert 0.35 < share[2023] < 0.47
    late = dataset[dataset["reference_year"] == 2023]
    lagging, at_risk = late["defasagem"] < 0, late["em_risco"] == 1
    assert 0.65 < (lagging & at_risk).sum() / at_risk.sum() < 0.85
    assert 0.50 < (lagging & at_risk).sum() / lagging.sum() < 0.68


def test_there_is_as_much_to_learn_as_in_reality(dataset: pd.DataFrame) -> None:
    """Boosted trees fitted on 2022→23 rank 2023→24 well, not perfectly, and beat persistence."""
    features = [name for name in FEATURE_NAMES if name != "ipp"]  # 2022 has none
    early, late = (dataset[dataset["reference_year"] == year] for year in (2022, 2023))
    model = HistGradientBoostingClassifier(
        max_iter=120, max_leaf_nodes=6, learning_rate=0.05, random_state=0
    ).fit(early[features], early["em_risco"])
    scores = model.predict_proba(late[features])[:, 1]
    assert 0.83 < roc_auc_score(late["em_risco"], scores) < 0.95
    lagging = late["defasagem"] < 0
    flagged = scores >= np.quantile(scores, 1 - lagging.mean())
    assert late["em_risco"][flagged].sum() > late["em_risco"][lagging].sum() * 1.05


@pytest.mark.skipif(not SAMPLE.exists(), reason="the real sample is not on this machine")
def test_headers_are_those_of_the_real_workbook() -> None:
    """Each sheet has the real headers in their order, repeated ones included."""
    workbook = openpyxl.load_workbook(SAMPLE, read_only=True)
    sheets = generate_workbook(5, seed=0)
    for title in ("PEDE2022", "PEDE2023", "PEDE2024"):
        real = next(workbook[title].iter_rows(max_row=1, values_only=True))
        assert tuple(sheets[title].columns) == real


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command writes the workbook, creates its folder, and rejects invalid options."""
    output = tmp_path / "raw" / "pede.xlsx"
    assert main(["--students", "12", "--seed", "1", "--output", str(output)]) == 0
    assert output.exists() and str(output) in capsys.readouterr().out
    assert main(["--students", "0", "--output", str(output)]) == 2
    assert "ao menos 1" in capsys.readouterr().err
    assert main(["--students", "9", "--years", "2023-2025", "--output", str(output)]) == 0
    assert "PEDE2025" in capsys.readouterr().out
    assert main(["--years", "2020-2023", "--output", str(output)]) == 2
    assert "--years" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--years", "2025-2023", "--output", str(output)])
    assert "2022-2025" in capsys.readouterr().err
