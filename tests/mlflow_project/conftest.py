"""A modelling dataset from a synthetic workbook, read as a real one is."""

from pathlib import Path

import pandas as pd
import pytest

from data.synthetic import generate_workbook, write_workbook
from mlflow_project.make_dataset import make_dataset


@pytest.fixture(scope="session")
def dataset_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Parquet file that `make_dataset` wrote for 700 synthetic students."""
    folder = tmp_path_factory.mktemp("dataset")
    write_workbook(generate_workbook(700, 11), folder / "pede.xlsx")
    make_dataset(folder / "pede.xlsx", folder / "dataset.parquet", None)
    return folder / "dataset.parquet"


@pytest.fixture
def dataset(dataset_file: Path) -> pd.DataFrame:
    """Return a fresh copy of the dataset."""
    return pd.read_parquet(dataset_file)
