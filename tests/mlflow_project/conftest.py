"""Fixtures: a modelling dataset from a synthetic workbook, and a model with two versions."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from core.registry.versions import Registry, open_registry
from data.synthetic import generate_workbook, write_workbook
from mlflow_project.make_dataset import make_dataset
from tests.live import built_once


@pytest.fixture(scope="session")
def dataset_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Parquet file that `make_dataset` wrote for 700 synthetic students."""

    def build(folder: Path) -> None:
        write_workbook(generate_workbook(700, 11), folder / "pede.xlsx")
        make_dataset(folder / "pede.xlsx", folder / "dataset.parquet", None)

    return built_once(tmp_path_factory, "dataset", build) / "dataset.parquet"


@pytest.fixture
def dataset(dataset_file: Path) -> pd.DataFrame:
    """Return a fresh copy of the dataset."""
    return pd.read_parquet(dataset_file)


@pytest.fixture
def two_versions(
    request: pytest.FixtureRequest,
    register_version: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
) -> Registry:
    """Return the registry of this test's model with v1.0.0 and v1.1.0, neither promoted."""
    name = f"model-{request.node.name}"[:60].replace("[", "-").replace("]", "")
    monkeypatch.setenv("MODEL_NAME", name)
    register_version(name, "v1.0.0", alias=None, rows=120)
    register_version(name, "v1.1.0", alias=None, seed=1, rows=120)
    return open_registry(name)
