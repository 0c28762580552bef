"""The one table of types: what a contract's or a captured column's type is called elsewhere.

Names only, so that this costs nothing to import: `pyarrow.type_for_alias(ARROW[kind])`,
`numpy.dtype(...)`, a column of Spark's DDL. Whoever needs the objects resolves them once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

FeatureType = Literal["double", "long", "boolean", "string", "datetime"]
"""Types that an input may have; a captured row also has a `timestamp`."""


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
        tensor: kind of the NumPy dtype, in a tensor's signature, that is read as this one.
    """

    python: type
    arrow: str
    pandas: str
    with_nulls: str
    json: str
    spark: str
    mlflow: tuple[str, ...] = ()
    tensor: str = ""


FEATURE_TYPES: Mapping[str, ColumnType] = {
    "double": ColumnType(
        python=float,
        arrow="double",
        pandas="float64",
        with_nulls="float64",
        json="number",
        spark="double",
        mlflow=("double", "float"),
        tensor="f",
    ),
    "long": ColumnType(
        python=int,
        arrow="int64",
        pandas="int64",
        with_nulls="float64",
        json="integer",
        spark="bigint",
        mlflow=("long", "integer"),
        tensor="i",
    ),
    "boolean": ColumnType(
        python=bool,
        arrow="bool",
        pandas="bool",
        with_nulls="object",
        json="boolean",
        spark="boolean",
        mlflow=("boolean",),
        tensor="b",
    ),
    "string": ColumnType(
        python=str,
        arrow="string",
        pandas="str",
        with_nulls="str",
        json="string",
        spark="string",
        mlflow=("string",),
    ),
    # Without a zone, as MLflow's: what was sent with one is kept in UTC.
    "datetime": ColumnType(
        python=datetime,
        arrow="timestamp[us]",
        pandas="datetime64[ns]",
        with_nulls="datetime64[ns]",
        json="string",
        spark="timestamp_ntz",
        mlflow=("datetime",),
    ),
}

LONG_RANGE = range(-(2**63), 2**63)
"""What a `long` can hold, which is less than JSON and Python can write."""


def of_mlflow(name: str) -> FeatureType | None:
    """Return the type of a column of a signature; None for one that no flat row holds."""
    return _first(lambda known: name in known.mlflow)


def of_tensor(dtype: str) -> FeatureType | None:
    """Return the type of a tensor's columns by its NumPy dtype, such as `float32`."""
    return _first(lambda known: bool(known.tensor) and dtype.startswith(known.tensor))


def _first(fits: Callable[[ColumnType], bool]) -> FeatureType | None:
    found = next((kind for kind, known in FEATURE_TYPES.items() if fits(known)), None)
    return cast(FeatureType | None, found)
