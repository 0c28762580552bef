"""The one table of types: what a contract's or a captured column's type is called elsewhere.

Names only, so that this costs nothing to import; whoever needs the objects resolves them once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

FeatureType = Literal["double", "long", "boolean", "string", "datetime"]
"""Types that an input may have; a captured row also has a `timestamp`."""
_KINDS: tuple[FeatureType, ...] = get_args(FeatureType)


@dataclass(frozen=True, slots=True)
class ColumnType:
    """One type under its names.

    Attributes:
        python: a value's type once it was read.
        arrow: alias of the Arrow type.
        pandas: dtype of a pandas column, and of a NumPy one, without nulls.
        with_nulls: dtype of a pandas column that has some, as pandas itself chooses it.
        json: type in a JSON schema.
        spark: type in Spark's DDL.
        mlflow: types of MLflow's signatures that are read as this one.
        tensor: first letter of the NumPy dtype, in a tensor's signature, that is read as this one.
    """

    python: type
    arrow: str
    pandas: str
    with_nulls: str
    json: str
    spark: str
    mlflow: tuple[str, ...]
    tensor: str | None = None


_MOMENT = "datetime64[ns]"
FEATURE_TYPES: Mapping[str, ColumnType] = {
    # python, arrow, pandas, with_nulls, json, spark, mlflow, tensor
    "double": ColumnType(
        float, "double", "float64", "float64", "number", "double", ("double", "float"), "f"
    ),
    "long": ColumnType(
        int, "int64", "int64", "float64", "integer", "bigint", ("long", "integer"), "i"
    ),
    "boolean": ColumnType(bool, "bool", "bool", "object", "boolean", "boolean", ("boolean",), "b"),
    "string": ColumnType(str, "string", "str", "str", "string", "string", ("string",)),
    # Without a zone, as MLflow's: what was sent with one is kept in UTC.
    "datetime": ColumnType(
        datetime, "timestamp[us]", _MOMENT, _MOMENT, "string", "timestamp_ntz", ("datetime",)
    ),
}

LONG_RANGE = range(-(2**63), 2**63)
"""What a `long` can hold, which is less than JSON and Python can write."""


def of_mlflow(name: str) -> FeatureType | None:
    """Return the type of a column of a signature; None for one that no flat row holds."""
    return next((kind for kind in _KINDS if name in FEATURE_TYPES[kind].mlflow), None)


def of_tensor(dtype: str) -> FeatureType | None:
    """Return the type of a tensor's columns by its NumPy dtype, such as `float32`."""
    return next((kind for kind in _KINDS if dtype[:1] == FEATURE_TYPES[kind].tensor), None)
