"""Leakage checks: a feature with information of a later year is refused under any name."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlflow_project.dataset.leakage import leaks, single_column_auc
from mlflow_project.dataset.pairs import STUDENT, YEAR
from mlflow_project.dataset.risk import FEATURE_NAMES, TARGET
from mlflow_project.make_dataset import make_dataset
from mlflow_project.modelling.rows import TrainingError, check_dataset
from mlflow_project.runs.training_run import train
from tests.live import SAMPLE


def next_year(dataset: pd.DataFrame, column: str) -> pd.Series:
    """Return each student's value of a column one year later; NaN if unknown."""
    later = dataset.set_index([STUDENT, YEAR])[column]
    places = zip(dataset[STUDENT], dataset[YEAR] + 1, strict=True)
    return pd.Series([later.get(place, np.nan) for place in places], index=dataset.index)


def found(dataset: pd.DataFrame) -> list[str]:
    """Return the leaks in the model's features."""
    return leaks(dataset, FEATURE_NAMES)


def test_honest_data_pass(dataset: pd.DataFrame) -> None:
    """Columns that hardly change between years, or that predict well, are not reported as leaks."""
    assert found(dataset) == []
    check_dataset(dataset)


def test_the_outcome_under_an_innocent_name_is_refused(dataset: pd.DataFrame) -> None:
    """A grade equal to the next year's outcome plus noise predicts too well and is refused."""
    noise = np.random.default_rng(0).normal(0, 0.25, len(dataset))
    planted = dataset.assign(ips=8 - 3 * dataset[TARGET] + noise)
    (said,) = found(planted)
    assert said.startswith("ips: sozinha prevê o ano seguinte")
    with pytest.raises(TrainingError, match="Vazamento do futuro: ips"):
        check_dataset(planted)


def test_a_leak_that_is_not_monotonic_is_found(dataset: pd.DataFrame) -> None:
    """A column with high risk at both ends is found, which a ranking by its values would miss."""
    side = np.random.default_rng(1).choice([-4.0, 4.0], len(dataset))
    planted = dataset.assign(iaa=5 + side * dataset[TARGET])
    assert any(said.startswith("iaa: sozinha") for said in found(planted))


def test_that_a_value_is_missing_may_leak(dataset: pd.DataFrame) -> None:
    """A grade that is missing exactly for those who will lag is reported."""
    planted = dataset.assign(ing=dataset["ing"].fillna(5.0).where(dataset[TARGET] == 0))
    assert any(said.startswith("ing: sozinha") for said in found(planted))


def test_next_years_note_under_this_years_name_is_refused(dataset: pd.DataFrame) -> None:
    """`ieg` of t+1 in the row of t predicts the outcome weakly; equal values reveal it."""
    planted = dataset.assign(ips=next_year(dataset, "ieg").fillna(dataset["ieg"]))
    said = found(planted)
    assert any(text.startswith("ips: diz em t o que ieg diz em t+1") for text in said)
    assert single_column_auc(planted[["ips"]].to_numpy(), planted[TARGET].to_numpy()) < 0.9


def test_a_name_that_states_a_later_year_is_refused(dataset: pd.DataFrame) -> None:
    """The name `ida_2024` in a dataset with rows of 2022 is reported."""
    planted = dataset.assign(ida_2024=1.0)
    (said,) = leaks(planted, ["ida_2024"])
    assert "2024" in said


def test_training_refuses_before_anything_is_logged(
    dataset: pd.DataFrame, tmp_path: Path, mlflow_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planted leak raises TrainingError before the training experiment is created."""
    from mlflow import MlflowClient

    monkeypatch.setenv("MODEL_NAME", "leaking")
    path = tmp_path / "planted.parquet"
    dataset.assign(por=10.0 * dataset[TARGET]).to_parquet(path)
    with pytest.raises(TrainingError, match="por: sozinha"):
        train(path)
    assert MlflowClient(mlflow_server).get_experiment_by_name("leaking-training") is None


@pytest.mark.skipif(not SAMPLE.exists(), reason="the real sample is not on this machine")
def test_real_columns_pass(tmp_path: Path) -> None:
    """In the real workbook no column leaks or has a ROC-AUC of 0.80 by itself."""
    make_dataset(SAMPLE, tmp_path / "d.parquet", None)
    real = pd.read_parquet(tmp_path / "d.parquet")
    assert found(real) == []
    areas = [single_column_auc(real[[n]].to_numpy(float), real[TARGET]) for n in FEATURE_NAMES]
    assert max(areas) < 0.80
