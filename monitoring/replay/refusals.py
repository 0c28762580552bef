"""Validation of captured rows against a contract, and their cast to its types. Pure.

The proxy validates value by value (`serving.protocol.validation`), this module whole columns; a
test checks that both give the same verdict on the same rows.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from core.contract.columns import feature_of
from core.contract.model import Feature, ModelContract
from core.messages import N_, _
from core.store.arrow_types import ARROW_TYPES

Mask = npt.NDArray[np.bool_]

UNKNOWN_FIELD = N_("unknown field")
BETWEEN = "; "
"""Separator of the problems of one row."""


def problems(
    batch: pa.RecordBatch, sent: Sequence[str], contract: ModelContract
) -> Iterator[tuple[str, str, Mask]]:
    """Yield field, problem and the mask of the captured rows that have it, shape (n,), if any.

    `sent` are the columns of `batch` that hold the features sent by clients.
    """
    for feature in contract.features:
        column = batch.column(feature.column) if feature.column in sent else None
        for problem, rows in _of_feature(feature, column, batch.num_rows):
            if rows.any():
                yield feature.name, problem, rows
    known = set(contract.feature_columns)
    for name in sent:
        # The store does not distinguish null from not sent: only a value shows a field was sent.
        if name not in known and (given := _bits(pc.is_valid(batch.column(name)))).any():
            yield feature_of(name), UNKNOWN_FIELD, given


def fitted(batch: pa.RecordBatch, sent: Sequence[str], contract: ModelContract) -> pa.Table:
    """Return the contract's features in its order and types; null if not sent or of wrong type."""
    columns = {}
    for feature in contract.features:
        kind = ARROW_TYPES[feature.type]
        name = feature.column
        there = name in sent and _reads(feature, batch.column(name).type)
        columns[name] = batch.column(name).cast(kind) if there else pa.nulls(batch.num_rows, kind)
    return pa.table(columns)


def told(found: Sequence[tuple[str, str, Mask]], rows: int) -> pa.Array:
    """Return the problems of each row as text without values; null for a valid row."""
    texts: list[str | None] = [None] * rows
    for field, problem, mask in found:
        text = f"{field}: {_(problem)}"
        for place in np.flatnonzero(mask).tolist():
            before = texts[place]
            texts[place] = text if before is None else f"{before}{BETWEEN}{text}"
    return pa.array(texts, pa.string())


def _of_feature(feature: Feature, column: pa.Array | None, rows: int) -> Iterator[tuple[str, Mask]]:
    if column is None:
        if feature.required or not feature.nullable:
            yield N_("missing"), np.ones(rows, dtype=np.bool_)
        return
    given = _bits(pc.is_valid(column))
    if not feature.nullable:
        yield "null", ~given
    if not _reads(feature, column.type):
        yield N_("wrong type"), given
    elif feature.type == "string" and feature.values:
        wanted = pa.array(feature.values, pa.string())
        yield N_("unknown category"), given & ~_bits(pc.is_in(column, value_set=wanted))
    elif feature.type in ("double", "long"):
        yield from _of_number(feature, column, given)


def _of_number(feature: Feature, column: pa.Array, given: Mask) -> Iterator[tuple[str, Mask]]:
    values = column.to_numpy(zero_copy_only=False)
    finite = given & np.isfinite(values)
    yield N_("is not a finite number"), given & ~finite
    whole = np.ones(len(values), dtype=np.bool_)
    if feature.type == "long":
        whole = values == np.floor(values)
        yield N_("is not a whole number"), finite & ~whole
    low = -np.inf if feature.min is None else feature.min
    high = np.inf if feature.max is None else feature.max
    yield N_("out of range"), finite & whole & ~((values >= low) & (values <= high))


def _reads(feature: Feature, kind: pa.DataType) -> bool:
    """Return whether a column of this type is valid for the feature."""
    if feature.type in ("double", "long"):
        return pa.types.is_floating(kind) or pa.types.is_integer(kind)
    return bool(kind.equals(ARROW_TYPES[feature.type]))


def _bits(values: pa.Array) -> Mask:
    found: Mask = values.to_numpy(zero_copy_only=False)
    return found
