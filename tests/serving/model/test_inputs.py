"""An estimator's inputs have pyfunc's types, also narrow types and tensors."""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests import plain_versions

RNG = np.random.default_rng(0)
WIDE = pd.DataFrame(RNG.normal(size=(200, 3)), columns=["a", "b", "c"])
TABLES = {
    "single precision": WIDE.astype("float32"),
    "mixed": WIDE.assign(b=RNG.integers(-5, 5, 200).astype("int32"), c=WIDE["c"].astype("float32")),
    "integers": (WIDE * 10).astype("int64"),
    "booleans": WIDE.assign(a=WIDE["a"] > 0),
}
MODELS = {
    "linear": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    "forest": lambda: RandomForestClassifier(20, random_state=0),
    "boosting": lambda: HistGradientBoostingRegressor(max_iter=20),
    "ridge": Ridge,
}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("name", MODELS)
def test_narrow_types_are_scored_as_pyfunc_scores_them(
    name: str, table: str, tmp_path: Path
) -> None:
    """A `float` column is rounded to 32 bits as by pyfunc, with and without a shortcut."""
    frame = TABLES[table]
    model: Any = MODELS[name]()
    model.fit(frame, (WIDE["a"] + WIDE["b"] > 0).astype(int))
    folder = plain_versions.saved(tmp_path / "model", model, frame)
    version = plain_versions.read(folder)
    plain = mlflow.pyfunc.load_model(str(folder))
    # In double precision, as JSON numbers are.
    rows = [list(row) for row in frame.astype(object).to_numpy().tolist()]
    expected = plain.predict(frame)
    np.testing.assert_allclose(version.output(rows), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(version.output(rows[:1]), expected[:1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
def test_a_tensor_is_given_as_a_matrix_of_its_type(dtype: str, tmp_path: Path) -> None:
    """A model fitted on an array gets an array; its features are named x0, x1, ..."""
    matrix = (WIDE.to_numpy() * 10).astype(dtype)
    model = Ridge().fit(matrix, WIDE["a"])
    signature = plain_versions.infer_signature(matrix, model.predict(matrix))
    folder = plain_versions.saved(tmp_path / "model", model, WIDE, signature=signature)
    version = plain_versions.read(folder)
    assert version.contract.feature_names == ("x0", "x1", "x2")
    assert version.score.shortcut is not None
    expected = mlflow.pyfunc.load_model(str(folder)).predict(matrix)
    np.testing.assert_allclose(version.output(matrix.tolist()), expected, rtol=1e-12, atol=1e-12)


def test_of_two_probabilities_the_second_is_the_score(tmp_path: Path) -> None:
    """Without a contract, the probability of the second class is captured as the score."""
    target = (WIDE["a"] > 0).astype(int)
    model = LogisticRegression().fit(WIDE, target)
    signature = plain_versions.infer_signature(WIDE, model.predict_proba(WIDE))
    options = {"signature": signature, "pyfunc_predict_fn": "predict_proba"}
    version = plain_versions.read(plain_versions.saved(tmp_path / "m", model, WIDE, **options))
    output = version.output(WIDE.to_numpy().tolist())
    assert np.allclose(version.score.scores(output), model.predict_proba(WIDE)[:, 1])
