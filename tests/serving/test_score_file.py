"""`python -m serving.score`: a file is scored as by the API, completely or not at all."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from serving.score import main

Run = Callable[..., int]


def frame_of(n: int) -> pd.DataFrame:
    """Return n valid rows, every third without a pressure."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "temperature": rng.normal(20, 5, n),
            "pressure": rng.uniform(900, 1100, n),
            "wear": rng.integers(0, 9, n).astype(float),
        }
    )
    frame.loc[::3, "pressure"] = np.nan
    return frame


@pytest.fixture(scope="module")
def model(mlflow_server: str, register_version: Callable[..., int], tmp_path_factory: Any) -> str:
    """Return the name of a registered model."""
    name = f"machine-file-{tmp_path_factory.getbasetemp().name}"
    register_version(name, "v1.2.0", threshold=0.25)
    return name


@pytest.fixture
def score(model: str, mlflow_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs the command with this test's folders."""
    environ = {
        "MLFLOW_TRACKING_URI": mlflow_server,
        "MODEL_NAME": model,
        "INFERENCE_STORE": tmp_path / "store",
        "LOG_FILE": tmp_path / "app.log",
        "MODEL_CACHE": tmp_path / "cache",
        "PSEUDONYM_KEY": "k",
    }
    for variable, text in environ.items():
        monkeypatch.setenv(variable, str(text))

    def run(source: Path, *more: str) -> int:
        return main(["--source", str(source), "--output", str(tmp_path / "out.parquet"), *more])

    return run


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_is_scored_in_chunks_like_pyfunc_scores_it(
    score: Run, model: str, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scores equal pyfunc's in row order, kept columns stay, and each row is captured once."""
    frame = frame_of(250).assign(serial=[f"S-{i}" for i in range(250)], site="north")
    source = tmp_path / f"rows.{kind}"
    if kind == "csv":
        frame.to_csv(source, index=False)
    else:
        frame.to_parquet(source)
    assert score(source, "--chunk", "100", "--keep", "site") == 0
    out = pd.read_parquet(tmp_path / "out.parquet")
    features = frame[["temperature", "pressure", "wear"]]
    expected = mlflow.pyfunc.load_model(f"models:/{model}/1").predict(features)[:, 1]
    assert np.abs(out["failure_score"] - expected).max() <= 1e-12
    assert (out["failure_label"] == (out["failure_score"] >= 0.25)).all()
    assert (out["site"] == "north").all()
    assert "serial" not in out
    assert set(out["model_version"]) == {"v1.2.0"}
    stored = pd.concat(map(pd.read_parquet, (tmp_path / "store").glob("*.parquet")))
    assert set(stored["role"]) == {"batch"}
    assert not stored.duplicated(["request_id", "instance"]).any()
    stored = stored.sort_values(["request_id", "instance"])
    assert list(stored["score"]) == list(out["failure_score"])
    assert stored["entity"].nunique() == 250
    assert not stored["entity"].str.contains("S-").any()
    assert "100 de 250 linhas (40 %)" in capsys.readouterr().out


FORMS = {
    "portuguese.csv": lambda frame: (
        frame.assign(escola="São João").to_csv(index=False, sep=";", decimal=",").encode("cp1252")
    ),
    "tabs.txt": lambda frame: frame.to_csv(index=False, sep="\t", decimal=",").encode("utf-8-sig"),
    "rows.jsonl": lambda frame: frame.to_json(
        orient="records", lines=True, double_precision=15
    ).encode(),
    "rows.xlsx": lambda frame: _workbook(frame),
}


def _workbook(frame: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    frame.to_excel(file, index=False)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "output"), list(zip(FORMS, ["br.csv", "out.xlsx", "out.csv", "out.csv"], strict=True))
)
def test_a_table_as_people_have_it_comes_back_as_they_want_it(
    score: Run, tmp_path: Path, name: str, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scores are equal for each input and output format; the output names the input file."""
    frame = frame_of(20).assign(site="-SUM(1;2)")
    (tmp_path / name).write_bytes(FORMS[name](frame))
    more = ["--keep", "site,escola", "--output", str(tmp_path / output)]
    assert score(tmp_path / name, *more, *["--excel-br"] * (output == "br.csv")) == 0
    assert name in capsys.readouterr().out.splitlines()[1]
    frame.to_parquet(tmp_path / "plain.parquet")
    assert score(tmp_path / "plain.parquet", "--keep", "site") == 0
    expected = pd.read_parquet(tmp_path / "out.parquet")
    readers = {".xlsx": pd.read_excel, ".csv": pd.read_csv}
    form = {"sep": ";", "decimal": ","} if output == "br.csv" else {}
    found = readers[Path(output).suffix](tmp_path / output, **form)
    assert np.abs(found["failure_score"] - expected["failure_score"]).max() <= 1e-12
    assert [n for n in found if n != "escola"] == list(expected)
    sign = "'" if output.endswith(".csv") else ""
    assert set(found["site"]) == {f"{sign}-SUM(1;2)"}


@pytest.mark.parametrize("output", ["out.ods", "out.xlsx"])
def test_an_output_that_cannot_be_is_said_before_a_row_is_scored(
    score: Run, tmp_path: Path, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown output suffix, or a CSV option for another format, is refused before scoring."""
    frame_of(3).to_csv(tmp_path / "rows.csv", index=False)
    assert score(tmp_path / "rows.csv", "--output", str(tmp_path / output), "--excel-br") == 1
    assert output in capsys.readouterr().err
    assert not (tmp_path / "store").exists()


def test_a_bad_row_stops_all_and_is_named(
    score: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All problems are listed by row, without values; nothing is written or captured."""
    frame = frame_of(250)
    frame.loc[3, "wear"] = np.nan
    frame.loc[249, "temperature"] = 987654.0
    frame.to_csv(tmp_path / "rows.csv", index=False)
    assert score(tmp_path / "rows.csv", "--chunk", "100") == 1
    error = capsys.readouterr().err
    assert "2 problemas" in error
    assert "linha 4: wear" in error
    assert "linha 250: temperature fora do intervalo" in error
    assert "987654" not in error
    assert not (tmp_path / "out.parquet").exists()
    assert not list((tmp_path / "store").glob("**/*"))


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("missing.csv", None, "não existe"),
        ("rows.xlsx", b"", "não é .xlsx"),
        ("rows.xls", b"\xd0\xcf\x11\xe0", "salve como .xlsx"),
        ("rows.parquet", b"no parquet", "não é Parquet"),
        ("rows.csv", b"\xff\xfe", "UTF-8"),
        ("rows.csv", b"wear,wear\n1,1\n", "cabeçalho"),
        ("rows.csv", b"wear,pressure\n1,2\n1,2,3\n", "linha 3"),
        ("rows.csv", b"wear\n", "não tem linhas"),
        ("rows.csv", b"wear,color\n1,red\n", "campo desconhecido"),
    ],
)
def test_a_file_that_is_no_table_is_explained(
    score: Run,
    tmp_path: Path,
    name: str,
    content: bytes | None,
    word: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The error names the problem, without a traceback; the exit code is 1."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert score(tmp_path / name) == 1
    error = capsys.readouterr().err
    assert word in error
    assert "Traceback" not in error


def test_year_suffixes_work_in_csv_too(score: Run, tmp_path: Path) -> None:
    """A CSV column `wear_2023` is read as the feature `wear`."""
    (tmp_path / "rows.csv").write_text("temperature_2023,wear_2023\n21.5,2\n")
    assert score(tmp_path / "rows.csv") == 0
    out = pd.read_parquet(tmp_path / "out.parquet")
    assert out["wear"].tolist() == [2.0]
    assert out["pressure"].isna().all()


def test_the_period_is_captured_whoever_states_it(
    score: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The period comes from column names or `--period`; if they differ, nothing is scored."""
    source = tmp_path / "rows.csv"
    for header, more in (("wear_2023", ()), ("wear", ("--period", "2024")), ("wear", ())):
        source.write_text(f"{header}\n2\n")
        assert score(source, *more) == 0
    stored = pd.concat(map(pd.read_parquet, (tmp_path / "store").glob("*.parquet")))
    stored = stored.sort_values("timestamp")
    assert stored["period"].tolist()[:2] == [2023, 2024]
    assert stored["period"].isna().tolist() == [False, False, True]
    source.write_text("wear_2023\n2\n")
    assert score(source, "--period", "2024") == 1
    assert "dois períodos diferentes" in capsys.readouterr().err


def test_a_partitioned_folder_is_scored_whole(score: Run, tmp_path: Path) -> None:
    """A feature is read from the partition folders' names; each row is scored once."""
    frame = frame_of(90)
    folder = tmp_path / "students"
    frame.to_parquet(folder, partition_cols=["wear"])
    assert len(list(folder.rglob("*.parquet"))) > 3
    assert score(folder, "--chunk", "20") == 0
    out = pd.read_parquet(tmp_path / "out.parquet")
    columns = ["wear", "temperature", "pressure"]
    expected = frame.sort_values(columns, ignore_index=True)
    found = out.sort_values(columns, ignore_index=True)
    pd.testing.assert_frame_equal(found[columns], expected[columns])


def test_deleted_rows_of_a_delta_table_are_not_scored(
    score: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows deleted in the Delta log are not scored; a single file of a table is refused."""
    deltalake = pytest.importorskip("deltalake")
    table = tmp_path / "students"
    frame = frame_of(40).assign(row=range(40))
    deltalake.write_deltalake(str(table), pa.Table.from_pandas(frame, preserve_index=False))
    deltalake.DeltaTable(str(table)).delete("row < 15")
    assert score(table, "--keep", "row") == 0
    out = pd.read_parquet(tmp_path / "out.parquet")
    assert sorted(out["row"]) == list(range(15, 40))
    assert score(next(table.glob("*.parquet")), "--keep", "row") == 1
    assert "tabela Delta" in capsys.readouterr().err
