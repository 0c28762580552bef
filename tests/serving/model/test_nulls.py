"""Required numbers of a signature: null is allowed where the model accepts it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from serving.errors import InvalidInstances
from tests import plain_versions

FRAME = pd.DataFrame(np.random.default_rng(0).uniform(0, 9, (50, 2)), columns=["a", "b"])
TARGET = FRAME["a"] + FRAME["b"]
IMPUTED = make_pipeline(
    make_column_transformer((SimpleImputer(), ["a"]), remainder="passthrough"), Ridge()
)


@pytest.mark.parametrize(
    ("model", "nullable"),
    [
        (HistGradientBoostingRegressor(max_iter=3), [True, True]),
        (Ridge(), [False, False]),
        (IMPUTED, [True, False]),
    ],
)
@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_the_model_is_asked_feature_by_feature(
    model: object, nullable: list[bool], kind: str, tmp_path: Path
) -> None:
    """A feature is nullable if the model scores a null there; a missing field is always refused."""
    frame = FRAME.astype(kind)
    fitted = model.fit(frame, TARGET)  # type: ignore[attr-defined]
    version = plain_versions.read(plain_versions.saved(tmp_path / "model", fitted, frame))
    assert [feature.nullable for feature in version.contract.features] == nullable
    body = b'{"instances": [{"a": null, "b": 1.5}]}'
    if nullable[0]:
        (row,) = version.reader.read(body).rows
        expected = fitted.predict(pd.DataFrame({"a": [np.nan], "b": [1.5]}, dtype=kind))
        assert np.allclose(version.output([row]), expected, rtol=0, atol=1e-12)
    else:
        with pytest.raises(InvalidInstances):
            version.reader.read(body)
    with pytest.raises(InvalidInstances):
        version.reader.read(b'{"instances": [{"b": 1.5}]}')
