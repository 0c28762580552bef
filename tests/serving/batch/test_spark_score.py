"""Batch scoring on a local Spark session: rows and scores equal those of the local engine."""

import shutil
from collections.abc import Callable
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

from core.contract.model import Example, Feature, ModelContract
from core.contract.names import METADATA_CONTRACT
from serving.score import main

WITHOUT = next(
    (
        why
        for found, why in (
            (find_spec("pyspark"), "no pyspark (make spark)"),
            (shutil.which("java"), "no Java (Debian: apt install openjdk-17-jre-headless)"),
        )
        if not found
    ),
    None,
)
needs_spark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(WITHOUT is not None, reason=str(WITHOUT)),
]


@pytest.fixture
def score(
    mlflow_server: str,
    register_version: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., int]:
    """Return a function that runs the scoring command on a newly registered version."""
    name = f"machine-spark-{tmp_path.name}"
    register_version(name, "v2.0.0", threshold=0.3)
    environ = {
        "MLFLOW_TRACKING_URI": mlflow_server,
        "MODEL_NAME": name,
        "INFERENCE_STORE": tmp_path / "store",
        "LOG_FILE": tmp_path / "app.log",
        "MODEL_CACHE": tmp_path / "cache",
    }
    for variable, text in environ.items():
        monkeypatch.setenv(variable, str(text))

    def run(engine: str, source: Path, *more: str) -> int:
        output = tmp_path / f"{engine}.parquet"
        arguments = ["--source", str(source), "--output", str(output), "--engine", engine]
        return main([*arguments, *more])

    return run


def frame_of(n: int) -> pd.DataFrame:
    """Return n valid rows with a key and a group column; one feature name has a year suffix."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "temperature_2024": rng.normal(20, 5, n),
            "pressure": rng.uniform(900, 1100, n),
            "wear": rng.integers(0, 9, n),
            "row": np.arange(n),
            "site": rng.choice(["north", "south"], n),
        }
    )
    frame.loc[::3, "pressure"] = np.nan
    return frame


def serve(name: str, made: Any, patch: pytest.MonkeyPatch) -> None:
    """Set the champion alias to a logged version and `MODEL_NAME` to its model."""
    number = str(made.registered_model_version)
    mlflow.MlflowClient().set_registered_model_alias(name, "champion", number)
    patch.setenv("MODEL_NAME", name)


def publish(name: str, columns: list[str], patch: pytest.MonkeyPatch) -> pd.DataFrame:
    """Register a champion whose contract has these columns; return its training rows."""
    rng = np.random.default_rng(4)
    frame = pd.DataFrame(rng.normal(size=(90, len(columns))), columns=columns)
    model = LogisticRegression().fit(frame, (frame[columns[0]] > 0).astype(int))
    example = float(model.predict_proba(frame[:1])[0, 1])
    contract = ModelContract(
        release="v1.0.0",
        features=tuple(Feature(column) for column in columns),
        target="anything",
        threshold=0.5,
        threshold_policy={"policy": "fixed"},
        example=Example(frame.iloc[0].to_dict(), example),
    )
    with mlflow.start_run():
        made = mlflow.sklearn.log_model(
            model,
            name="model",
            signature=infer_signature(frame, model.predict_proba(frame)),
            metadata={METADATA_CONTRACT: contract.to_dict()},
            pyfunc_predict_fn="predict_proba",
            serialization_format="skops",
            pip_requirements=[],
            registered_model_name=name,
        )
    serve(name, made, patch)
    return frame


@pytest.mark.skipif(find_spec("pyspark") is None, reason="no pyspark (make spark)")
def test_a_backtick_in_a_name_is_refused_before_spark_is_started(
    score: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The error names the column and `--engine local`; MLflow's UDF would fail in the executors."""
    frame = publish(f"backtick-{tmp_path.name}", ["tick`ed", "x"], monkeypatch)
    source = tmp_path / "rows.parquet"
    frame.to_parquet(source)
    assert score("spark", source) == 1
    told = capsys.readouterr().err
    assert "tick`ed" in told and "--engine local" in told
    assert score("local", source) == 0


@pytest.mark.usefixtures("mlflow_server")
class TestOnSpark:
    """Tests that need pyspark and Java."""

    pytestmark = needs_spark

    def test_the_same_rows_and_scores_as_the_local_engine(
        self, score: Callable[..., int], tmp_path: Path
    ) -> None:
        """Scores of both engines agree to 1e-12; labels and all other columns are equal."""
        source = tmp_path / "rows.parquet"
        frame_of(500).to_parquet(source)
        for engine in ("local", "spark"):
            assert score(engine, source, "--keep", "row,site") == 0
        here, there = (
            pd.read_parquet(tmp_path / f"{engine}.parquet").sort_values("row", ignore_index=True)
            for engine in ("local", "spark")
        )
        assert list(here.columns) == list(there.columns)
        assert len(there) == 500
        assert np.abs(here.pop("failure_score") - there.pop("failure_score")).max() <= 1e-12
        pd.testing.assert_frame_equal(here, there)

    def test_rows_that_do_not_fit_are_counted_by_field_and_nothing_is_scored(
        self, score: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The message has field, problem, allowed range and row count, and never a value."""
        frame = frame_of(300).drop(columns=["row", "site"])
        frame.loc[:6, "temperature_2024"] = 777.25
        source = tmp_path / "rows.parquet"
        frame.to_parquet(source)
        assert score("spark", source) == 1
        told = capsys.readouterr().err
        assert "7 problemas; nada foi pontuado" in told
        assert "7 × temperature fora do intervalo (número entre -50 e 100" in told
        assert "777" not in told
        assert not (tmp_path / "spark.parquet").exists()

    def test_folders_and_delta_tables_give_the_rows_of_the_local_engine(
        self, score: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Partitioned folders and Delta tables score as locally; one file of a table is refused."""
        frame, plain, table = frame_of(120), tmp_path / "plain", tmp_path / "delta"
        frame.to_parquet(plain, partition_cols=["wear"])
        sources = [plain]
        if find_spec("deltalake"):
            import deltalake

            rows = pa.Table.from_pandas(frame, preserve_index=False)
            deltalake.write_deltalake(str(table), rows, partition_by=["site"])
            deltalake.DeltaTable(str(table)).delete("row < 50")
            sources.append(table)
        for source in sources:
            found = []
            for engine in ("local", "spark"):
                shutil.rmtree(tmp_path / "spark.parquet", ignore_errors=True)
                assert score(engine, source, "--keep", "row,site") == 0, capsys.readouterr().err
                out = pd.read_parquet(tmp_path / f"{engine}.parquet").sort_values("row")
                found.append(out.reset_index(drop=True))
            assert list(found[0]["row"]) == list(range(50 if source == table else 0, 120))
            apart = [one.pop("failure_score") for one in found]
            assert np.abs(apart[0] - apart[1]).max() <= 1e-12
            pd.testing.assert_frame_equal(*found, check_dtype=False)
        part = next(table.rglob("*.parquet"), None)
        if part is not None:
            shutil.rmtree(tmp_path / "spark.parquet")
            assert score("spark", part, "--keep", "row,site") == 1
            assert "tabela Delta" in capsys.readouterr().err

    def test_columns_of_any_name_are_scored(
        self, score: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Column names with dots, spaces and accents are scored alike by both engines."""
        columns = ["a.b", "with space", "é😀"]
        frame = publish(f"odd-names-{tmp_path.name}", columns, monkeypatch)
        source = tmp_path / "rows.parquet"
        frame.assign(row=range(90)).to_parquet(source)
        for engine in ("local", "spark"):
            assert score(engine, source, "--keep", "row") == 0
        here, there = (
            pd.read_parquet(tmp_path / f"{engine}.parquet").sort_values("row", ignore_index=True)
            for engine in ("local", "spark")
        )
        assert list(here.columns) == list(there.columns)
        assert set(columns) < set(there.columns)
        assert np.abs(here.pop("score") - there.pop("score")).max() <= 1e-12
        pd.testing.assert_frame_equal(here, there)

    def test_what_lies_where_to_write_is_never_deleted(
        self, score: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A non-empty output folder is refused and left unchanged; an empty one is used."""
        source, folder = tmp_path / "rows.parquet", tmp_path / "spark.parquet"
        frame_of(3).to_parquet(source)
        folder.mkdir()
        (folder / "letter.txt").write_text("dear")
        assert score("spark", source, "--keep", "row,site") == 1
        assert "não está vazio" in capsys.readouterr().err
        assert (folder / "letter.txt").read_text() == "dear"
        (folder / "letter.txt").unlink()
        assert score("spark", source, "--keep", "row,site") == 0
        assert len(pd.read_parquet(folder)) == 3


@pytest.mark.skipif(find_spec("pyspark") is not None, reason="pyspark is installed here")
def test_without_pyspark_the_command_says_what_to_install(
    score: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names `make spark`; the exit code is 1."""
    source = tmp_path / "rows.parquet"
    frame_of(3).to_parquet(source)
    assert score("spark", source) == 1
    assert "make spark" in capsys.readouterr().err


def publish_century(name: str, patch: pytest.MonkeyPatch) -> None:
    """Register a champion with a datetime feature; its local class is pickled into the model."""

    class Century(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        """A model that returns the time since 2000 as a share of 100 years, 0 for null."""

        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:  # noqa: ARG002
            """Return a number per row."""
            share = (model_input["since"] - pd.Timestamp("2000-01-01")) / pd.Timedelta(days=36_525)
            return share.fillna(0).to_numpy(np.float64)

    first = {"since": "2024-01-02"}
    frame = pd.DataFrame({"since": pd.to_datetime(["2024-01-02", None])})
    contract = ModelContract(
        release="v1.0.0",
        features=(Feature("since", "datetime"),),
        target="anything",
        threshold=0.2,
        threshold_policy={"policy": "fixed"},
        example=Example(first, float(Century().predict(None, frame)[0])),
    )
    with mlflow.start_run():
        made = mlflow.pyfunc.log_model(
            python_model=Century(),
            name="model",
            signature=infer_signature(frame, np.zeros(1)),
            metadata={METADATA_CONTRACT: contract.to_dict()},
            pip_requirements=[],
            registered_model_name=name,
        )
    serve(name, made, patch)
    patch.setenv("ALLOW_PICKLE", "true")


MOMENTS = {
    "text": [
        "2024-01-02",
        "2024-01-02T03:04:05",
        "2024-01-02 03:04:05.123456",
        "2024-01-02T03:04:05Z",
        "2024-01-02T03:04:05-03:00",
        "20240102",
        "20240102T030405",
        "2024-W01-2",
        None,
    ],
    "moments": [pd.Timestamp("2024-01-02T03:04:05.123456"), pd.NaT],
    "moments with a zone": [pd.Timestamp("2024-01-02T03:04:05", tz="America/Sao_Paulo"), pd.NaT],
    "days": [date(2024, 1, 2), None],
}


@pytest.mark.usefixtures("mlflow_server")
class TestMoments:
    """Datetime columns of an input file on Spark."""

    pytestmark = needs_spark

    @pytest.mark.parametrize("kind", MOMENTS)
    def test_a_moment_is_the_same_one_on_spark(
        self, kind: str, score: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Any type or text format scores as locally; Spark's cast parses less and drops zones."""
        name = f"moments-{tmp_path.name}"
        publish_century(name, monkeypatch)
        source = tmp_path / "moments.parquet"
        moments = MOMENTS[kind]
        pd.DataFrame({"since": moments, "row": range(len(moments))}).to_parquet(source)
        for engine in ("local", "spark"):
            assert score(engine, source, "--keep", "row") == 0
        local, spark = (
            pd.read_parquet(tmp_path / f"{engine}.parquet").sort_values("row", ignore_index=True)
            for engine in ("local", "spark")
        )
        assert spark["since"].dt.tz is None
        assert (
            spark["since"].astype("datetime64[us]").tolist()
            == local["since"].astype("datetime64[us]").tolist()
        )
        outputs = [c for c in local.columns if c not in ("row", "since")]
        assert list(spark.columns) == list(local.columns)
        pd.testing.assert_frame_equal(spark[outputs], local[outputs])
