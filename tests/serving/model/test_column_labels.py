"""Numbered, empty and unnamed columns: the model gets the labels that pyfunc would pass."""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.plain_versions import read, saved

ROWS = np.random.default_rng(0).normal(size=(50, 3))


def unnamed() -> ModelSignature:
    """Return a signature of three unnamed columns."""
    return ModelSignature(Schema([ColSpec("double")] * 3), Schema([ColSpec("double")]))


@pytest.mark.parametrize(
    ("frame", "options"),
    [(pd.DataFrame(ROWS), {}), (pd.DataFrame(ROWS), {"signature": unnamed()})],
    ids=["numbers", "none"],
)
def test_numbered_columns_are_answered_as_by_pyfunc(
    frame: Any, options: dict[str, Any], tmp_path: Path
) -> None:
    """Outputs equal pyfunc's; clients send the numeric labels as text."""
    steps = ColumnTransformer([("scaled", StandardScaler(), [2, 0])], remainder="passthrough")
    model = make_pipeline(steps, LinearRegression()).fit(frame, ROWS.sum(axis=1))
    folder = saved(tmp_path / "model", model, frame, **options)
    version = read(folder)
    assert version.contract.feature_names == ("0", "1", "2")
    body = (
        frame[:9].set_axis(["0", "1", "2"], axis=1).to_json(orient="records", double_precision=15)
    )
    sent = version.reader.read(b'{"instances": %b}' % body.encode())
    expected = mlflow.pyfunc.load_model(str(folder)).predict(frame[:9])
    assert np.abs(np.array(version.score(sent.rows)) - expected).max() < 1e-12


def test_an_empty_name_is_a_name(tmp_path: Path) -> None:
    """A column with an empty name is scored, although MLflow's pyfunc cannot find it."""
    frame = pd.DataFrame(ROWS, columns=["", "b", "$"])
    model = LinearRegression().fit(frame, ROWS.sum(axis=1))
    version = read(saved(tmp_path / "model", model, frame))
    sent = version.reader.read(b'{"instances": [{"": 1.5, "b": 2, "$": 3}]}')
    assert version.score(sent.rows) == pytest.approx([6.5])
