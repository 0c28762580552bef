"""The only table of types: the names of a contract's or a captured column's type elsewhere.

Names only, so that the import is cheap; callers that need the type objects resolve them once.
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
    """The names of one type.

    Attributes:
        python: type of a parsed value.
        arrow: alias of the Arrow type.
        pandas: dtype of a pandas or NumPy column without nulls.
        with_nulls: dtype that pandas chooses for a column with nulls.
        json: type in a JSON schema.
        spark: type in Spark's DDL.
        mlflow: types of MLflow's signatures that map to this one.
        tensor: first letter of the NumPy dtypes, in a tensor's signature, that map to this one.
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
    # Without a time zone, as in MLflow; a value sent with one is stored in UTC.
    "datetime": ColumnType(
        datetime, "timestamp[us]", _MOMENT, _MOMENT, "string", "timestamp_ntz", ("datetime",)
    ),
}

LONG_RANGE = range(-(2**63), 2**63)
"""Range of a `long`: 64 bits, whereas integers of JSON and Python are unbounded."""


def of_mlflow(name: str) -> FeatureType | None:
    """Return the type of a signature's column; None for one that no flat row can hold."""
    return next((kind for kind in _KINDS if name in FEATURE_TYPES[kind].mlflow), None)


def of_tensor(dtype: str) -> FeatureType | None:
    """Return the type of a tensor's columns by its NumPy dtype, such as `float32`, or None."""
    return next((kind for kind in _KINDS if dtype[:1] == FEATURE_TYPES[kind].tensor), None)
