"""The Arrow types of the store's columns, from the table of types (`core.contract.types`)."""

from collections.abc import Mapping

import pyarrow as pa

from core.contract.types import FEATURE_TYPES

ARROW_TYPES: Mapping[str, pa.DataType] = {
    **{kind: pa.type_for_alias(known.arrow) for kind, known in FEATURE_TYPES.items()},
    "timestamp": pa.timestamp("us", tz="UTC"),
}


def arrow_schema(columns: Mapping[str, str]) -> pa.Schema:
    """Return columns, given by name and type name, as an Arrow schema."""
    return pa.schema((name, ARROW_TYPES[kind]) for name, kind in columns.items())
