"""Model outputs as plain rows: in pyfunc's shape, and by the contract's names."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from core.messages import _
from serving.errors import ScoringFailed


def plain_rows(output: Any) -> list[Any]:
    """Return an output as MLflow's scoring server writes it: one JSON-serializable value per row.

    A vector gives scalars, a matrix (n, c) lists of c, a frame or series mappings by column.
    """
    if isinstance(output, pd.Series):
        output = output.to_frame()
    if isinstance(output, pd.DataFrame):
        records: list[Any] = output.astype(object).to_dict(orient="records")
        return [{str(k): _plain(v) for k, v in record.items()} for record in records]
    if isinstance(output, np.ndarray):
        rows: list[Any] = output.tolist()
        return rows
    if isinstance(output, list | tuple):
        return [_plain(value) for value in output]
    raise ScoringFailed(_("output of type {kind}", kind=type(output).__name__))


def named_row(row: Any, names: Sequence[str]) -> dict[str, Any]:
    """Return one row's outputs under the schema's names.

    A row that does not have one value per name is returned whole under the first name.
    """
    if isinstance(row, dict) and set(row) == set(names):
        return row
    values = _values(row)
    if len(values) == len(names):
        return dict(zip(names, values, strict=True))
    return {names[0]: row}


def first_number(row: Any) -> float | None:
    """Return the first finite number of an output row, which capture records as its score."""
    for value in _values(row):
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    return None


def _values(row: Any) -> list[Any]:
    if isinstance(row, dict):
        return list(row.values())
    return row if isinstance(row, list) else [row]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
