"""The table of feature types: one meaning in Python, Arrow, pandas and MLflow."""

from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from core.contract.columns import LEADING_COLUMNS, TRAILING_COLUMNS
from core.contract.types import FEATURE_TYPES, of_mlflow, of_tensor
from core.store.arrow_types import ARROW_TYPES

VALUES = {
    "double": 1.5,
    "long": 3,
    "boolean": True,
    "string": "a",
    "datetime": datetime(2024, 3, 1),
}


@pytest.mark.parametrize("kind", FEATURE_TYPES)
def test_a_value_survives_each_of_its_types(kind: str) -> None:
    """A value survives conversion to Arrow and pandas, with and without nulls."""
    known, value = FEATURE_TYPES[kind], VALUES[kind]
    assert type(value) is known.python
    assert pa.array([value, None], ARROW_TYPES[kind]).to_pylist() == [value, None]
    assert pd.Series([value], dtype=known.pandas).tolist() == [value]
    holed = pd.Series([value, None], dtype=known.with_nulls)
    assert holed.isna().tolist() == [False, True]
    assert holed[0] == value


@pytest.mark.parametrize("kind", FEATURE_TYPES)
def test_signatures_are_read_back(kind: str) -> None:
    """MLflow's column types and dtypes of tensors map back to the feature type."""
    assert {of_mlflow(name) for name in FEATURE_TYPES[kind].mlflow} == {kind}
    if FEATURE_TYPES[kind].tensor:
        assert of_tensor(np.dtype(FEATURE_TYPES[kind].pandas).name) == kind


def test_what_no_flat_row_holds_has_no_type() -> None:
    """Bytes, objects, and dates in a tensor map to no type."""
    assert [of_mlflow(name) for name in ("binary", "array", "")] == [None] * 3
    assert [of_tensor(name) for name in ("object", "complex64", "<U3", "datetime64[ns]", "")] == [
        None
    ] * 5


def test_every_column_of_the_store_has_an_arrow_type() -> None:
    """Every column of the store besides the features has an Arrow type."""
    kinds = {*LEADING_COLUMNS.values(), *TRAILING_COLUMNS.values()}
    assert kinds <= ARROW_TYPES.keys()
    assert LEADING_COLUMNS["period"] == "long"
