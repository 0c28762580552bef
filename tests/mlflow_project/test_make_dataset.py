"""The modelling dataset: pairs of years, column types, pseudonyms, and its command."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.contract.pseudonym import pseudonym
from data.synthetic import generate_workbook, write_workbook
from mlflow_project.dataset.pairs import DATASET_COLUMNS, build_dataset
from mlflow_project.make_dataset import READING_ARTIFACT, main, make_dataset, report_path
from mlflow_project.pede import COLUMNS, FEATURE_NAMES
from mlflow_project.pede.errors import PairError, UnwritableError

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT.parent / "shared" / "data" / "pede_sample.xlsx"


def students(rows: list[tuple[str, int, float]]) -> pd.DataFrame:
    """Return a table as the reader does, from (RA, year, lag); `idade` holds the row's index."""
    table = pd.DataFrame(rows, columns=["ra", "ano", "defasagem"])
    for name in COLUMNS:
        if name not in table:
            table[name] = None if name in ("genero", "instituicao") else np.nan
    table["idade"] = np.arange(len(rows), dtype=float)
    return table[list(COLUMNS)]


@pytest.fixture(scope="module")
def workbook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a small synthetic workbook."""
    path = tmp_path_factory.mktemp("raw") / "pede.xlsx"
    write_workbook(generate_workbook(60, seed=3), path)
    return path


def test_pairs_join_a_year_with_the_next_alone() -> None:
    """Features are of t, the target of t+1; years that are not consecutive make no pair."""
    table = students(
        [
            ("RA-1", 2022, 0.0),
            ("RA-1", 2023, -1.0),
            ("RA-1", 2024, 0.0),
            ("RA-2", 2022, -2.0),
            ("RA-2", 2024, -2.0),
            ("RA-3", 2023, -1.0),
            ("RA-3", 2024, 1.0),
        ]
    )
    dataset = build_dataset(table, "key")
    found = {
        (row.student, row.reference_year): (row.idade, row.defasagem, row.em_risco)
        for row in dataset.itertuples()
    }
    assert found == {
        (pseudonym("RA-1", "key"), 2022): (0.0, 0.0, 1),
        (pseudonym("RA-1", "key"), 2023): (1.0, -1.0, 0),
        (pseudonym("RA-3", "key"), 2023): (5.0, -1.0, 0),
    }


def test_columns_types_and_order(workbook: Path, tmp_path: Path) -> None:
    """The Parquet file has the specified columns and types in sorted order, and is reproducible."""
    output = tmp_path / "processed" / "modeling_dataset.parquet"
    make_dataset(workbook, output, None)
    dataset = pd.read_parquet(output)
    assert tuple(dataset.columns) == DATASET_COLUMNS
    assert set(dataset[list(FEATURE_NAMES)].dtypes.astype(str)) == {"float64"}
    assert str(dataset["reference_year"].dtype) == str(dataset["em_risco"].dtype) == "int64"
    assert set(dataset["em_risco"]) <= {0, 1}
    assert not dataset.duplicated(["student", "reference_year"]).any()
    keys = list(zip(dataset["reference_year"], dataset["student"], strict=True))
    assert keys == sorted(keys)
    again = tmp_path / "again.parquet"
    make_dataset(workbook, again, None)
    assert again.read_bytes() == output.read_bytes()


def test_features_of_year_t_do_not_move_with_year_t_plus_1() -> None:
    """Changing every feature of t+1, with the lag still negative, leaves the row of t unchanged."""
    before = students([("RA-1", 2022, 0.0), ("RA-1", 2023, -1.0)])
    after = before.copy()
    after.loc[after["ano"] == 2023, list(FEATURE_NAMES)] = -3.0
    pd.testing.assert_frame_equal(build_dataset(before, None), build_dataset(after, None))


@pytest.mark.parametrize("key", [None, "segredo"])
def test_nothing_written_identifies_a_child(
    workbook: Path, tmp_path: Path, key: str | None
) -> None:
    """Neither the Parquet file nor the report holds an RA or a name, with and without a key."""
    output = tmp_path / "modeling_dataset.parquet"
    make_dataset(workbook, output, key)
    written = output.read_bytes() + report_path(output).read_bytes()
    assert b"RA-" not in written and b"Aluno-" not in written
    dataset = pd.read_parquet(output)
    text = dataset.to_csv() + report_path(output).read_text(encoding="utf-8")
    assert "RA-" not in text and "Aluno-" not in text


def test_ordinals_do_not_follow_the_ra() -> None:
    """Without a key ordinals are uncorrelated with the RAs and independent of the row order."""
    table = students([(f"RA-{n}", y, 0.0) for n in range(1, 401) for y in (2022, 2023)])
    dataset = build_dataset(table, None)
    ordinal = dataset["student"].str.removeprefix("aluno-").astype(int)
    assert sorted(ordinal) == list(range(1, 401))
    ra = dataset["idade"] // 2
    assert abs(np.corrcoef(ordinal, ra)[0, 1]) < 0.2
    pd.testing.assert_frame_equal(
        dataset, build_dataset(table.sample(frac=1, random_state=1), None)
    )


def test_report_counts_the_pairs(workbook: Path, tmp_path: Path) -> None:
    """The JSON report holds the reading report, and pairs and share at risk of each year."""
    output = tmp_path / "modeling_dataset.parquet"
    report = make_dataset(workbook, output, None)
    content = json.loads((tmp_path / "modeling_dataset.report.json").read_text(encoding="utf-8"))
    dataset = pd.read_parquet(output)
    assert content["reading"] == report.to_dict()
    assert [p["reference_year"] for p in content["pairs"]] == [2022, 2023]
    assert sum(p["pairs"] for p in content["pairs"]) == len(dataset)
    first = dataset[dataset["reference_year"] == 2022]
    assert content["pairs"][0]["share_at_risk"] == pytest.approx(first["em_risco"].mean(), abs=1e-4)


def test_no_student_in_two_years_is_an_error(tmp_path: Path) -> None:
    """RAs spelt differently in each year give no pair: PairError, and nothing is written."""
    sheets = generate_workbook(20, seed=1)
    for number, title in enumerate(t for t in sheets if t.startswith("PEDE")):
        sheets[title]["RA"] = [f"{number}/{i}" for i in range(len(sheets[title]))]
    path = tmp_path / "pede.xlsx"
    write_workbook(sheets, path)
    with pytest.raises(PairError, match="2022, 2023, 2024"):
        make_dataset(path, tmp_path / "out.parquet", None)
    assert not (tmp_path / "out.parquet").exists()


def test_a_failed_write_leaves_the_old_dataset(workbook: Path, tmp_path: Path) -> None:
    """A failed write raises UnwritableError and leaves no partial file."""
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(UnwritableError, match="não foi possível gravar"):
        make_dataset(workbook, blocked / "out.parquet", None)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Return the result of the command, run in a subprocess."""
    return subprocess.run(
        [sys.executable, "-m", "mlflow_project.make_dataset", *arguments],
        cwd=ROOT,
        env={**os.environ, "MLFLOW_RUN_ID": "", "PSEUDONYM_KEY": "", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_command_prints_table_and_pairs(workbook: Path, tmp_path: Path) -> None:
    """The command prints the reading table and the pairs, and never imports MLflow."""
    output = tmp_path / "d.parquet"
    done = run("--source", str(workbook), "--output", str(output), PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0, done.stderr
    assert "Motivo" in done.stdout and "2022 → 2023" in done.stdout and str(output) in done.stdout
    assert output.exists()
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "pandas" in imported and "mlflow" not in imported


def test_command_ends_in_one_line_when_the_data_cannot_be_had(tmp_path: Path) -> None:
    """A missing workbook ends with exit code 2 and one line that names it, no traceback."""
    done = run("--source", str(tmp_path / "nada.xlsx"), "--output", str(tmp_path / "d.parquet"))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and "nada.xlsx" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_pseudonym_key_comes_from_the_environment(
    workbook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With PSEUDONYM_KEY set the dataset has the inference store's pseudonyms."""
    monkeypatch.setenv("PSEUDONYM_KEY", "segredo")
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    output = tmp_path / "d.parquet"
    assert main(["--source", str(workbook), "--output", str(output)]) == 0
    ra = pd.read_excel(workbook, sheet_name="PEDE2022")["RA"]
    known = {pseudonym(one, "segredo") for one in ra}
    dataset = pd.read_parquet(output)
    assert set(dataset.loc[dataset["reference_year"] == 2022, "student"]) <= known


def test_report_is_logged_to_the_projects_run(
    workbook: Path, tmp_path: Path, mlflow_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under `mlflow run` the reading report becomes an artifact of that run."""
    from mlflow import MlflowClient

    client = MlflowClient(mlflow_server)
    run_id = client.create_run("0").info.run_id
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    output = tmp_path / "d.parquet"
    assert main(["--source", str(workbook), "--output", str(output)]) == 0
    local = client.download_artifacts(run_id, READING_ARTIFACT, str(tmp_path))
    logged: dict[str, Any] = json.loads(Path(local).read_text(encoding="utf-8"))
    assert logged == json.loads(report_path(output).read_text(encoding="utf-8"))


@pytest.mark.skipif(not SAMPLE.exists(), reason="the real sample is not on this machine")
def test_real_sample_gives_the_known_pairs(tmp_path: Path) -> None:
    """The sample gives 414 pairs 2022→2023 and 528 pairs 2023→2024, 61 % and 41 % at risk."""
    output = tmp_path / "d.parquet"
    make_dataset(SAMPLE, output, None)
    by_year = pd.read_parquet(output).groupby("reference_year")["em_risco"].agg(["size", "mean"])
    assert by_year["size"].to_dict() == {2022: 414, 2023: 528}
    assert by_year["mean"].round(2).to_dict() == {2022: 0.61, 2023: 0.41}
    assert b"RA-" not in output.read_bytes()
