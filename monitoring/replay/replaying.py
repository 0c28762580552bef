"""Captured rows predicted again by two versions: both predictions as rows without features."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.contract.columns import LEADING_COLUMNS, column_of
from core.contract.model import ModelContract
from core.store.arrow_types import ARROW_TYPES
from monitoring.replay.refusals import UNKNOWN_FIELD, fitted, problems, told
from monitoring.tracking.scorer import UNKNOWN, VersionScorer

KEYS = ("request_id", "instance", "timestamp", "entity", "period")
"""Columns of the store that replayed rows keep."""
CAPTURED = ("score", "label")
ROWS_AT_ONCE = 65_536
SCHEMA = pa.schema(
    [
        ("score", pa.float64()),
        ("label", pa.int64()),
        ("probabilities", pa.list_(pa.float64())),
        ("seconds", pa.float32()),
        ("shadow_score", pa.float64()),
        ("shadow_label", pa.int64()),
        ("shadow_probabilities", pa.list_(pa.float64())),
        ("shadow_seconds", pa.float32()),
        ("refused", pa.string()),
    ]
)
"""Columns added: the prediction of the version before and, as `shadow`, that of the candidate, each
with the seconds per row; why the candidate refuses the row, null where it does not."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Versions that predict again.

    Attributes:
        after: the candidate.
        before: the version compared with; None: its captured predictions are used.
        groups: features to group rows by.
    """

    after: VersionScorer
    before: VersionScorer | None
    groups: tuple[str, ...]

    def rows(self, batch: pa.RecordBatch, sent: Sequence[str]) -> pa.RecordBatch:
        """Return a batch's keys and groups with both predictions.

        The batch has `KEYS`, `CAPTURED` and features, the latter in the columns `sent`.

        Raises:
            ScoringError: a model fails.
        """
        kept = {name: batch.column(name) for name in batch.schema.names if name not in sent}
        for name in CAPTURED:
            kept.pop(name)
        groups = {f"@{name}": _text(batch, name, sent) for name in self.groups}
        said = _answers(self.after, batch, sent)
        if self.before is None:
            own = _captured(batch)
        else:
            own = _answers(self.before, batch, sent)
            own.pop("refused")
        shadow = {f"shadow_{name}": column for name, column in said.items() if name != "refused"}
        columns = {**kept, **groups, **own, **shadow, "refused": said["refused"]}
        return pa.RecordBatch.from_pydict(columns)


def empty(groups: Sequence[str]) -> pa.Table:
    """Return an empty table with the columns of replayed rows."""
    keys = [(name, ARROW_TYPES[LEADING_COLUMNS[name]]) for name in KEYS]
    of_groups = [(f"@{name}", pa.string()) for name in groups]
    return pa.schema([*keys, *of_groups, *SCHEMA]).empty_table()


def gathered(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the same rows in batches of at least `ROWS_AT_ONCE` (but the last), for model calls."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        if rows >= ROWS_AT_ONCE:
            yield _joined(held)
            held, rows = [], 0
    if rows:
        yield _joined(held)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    (joined,) = pa.Table.from_batches(batches).combine_chunks().to_batches()
    return joined


def _answers(
    scorer: VersionScorer, batch: pa.RecordBatch, sent: Sequence[str]
) -> dict[str, pa.Array]:
    """Return a version's predictions for the rows that its contract can read, null for others."""
    n = batch.num_rows
    found = list(problems(batch, sent, scorer.contract))
    readable = np.ones(n, dtype=np.bool_)
    for _field, problem, rows in found:
        if problem != UNKNOWN_FIELD:  # refused by the proxy, but can be predicted
            readable &= ~rows
    score, label = np.full(n, np.nan), np.full(n, UNKNOWN)
    probabilities, each = pa.nulls(n, SCHEMA.field("probabilities").type), 0.0
    if readable.any():
        there = batch if readable.all() else batch.filter(pa.array(readable))
        said = scorer.answer(fitted(there, sent, scorer.contract))
        score[readable], label[readable] = said.score, said.label
        each = said.seconds / there.num_rows
        if said.probabilities is not None:
            probabilities = _listed(said.probabilities, readable)
    return {
        "score": pa.array(score, from_pandas=True),
        "label": pa.array(label, mask=label == UNKNOWN),
        "probabilities": probabilities,
        "seconds": pa.array(np.full(n, each, dtype=np.float32)),
        "refused": told(found, n),
    }


def _captured(batch: pa.RecordBatch) -> dict[str, pa.Array]:
    """Return the captured predictions, with neither probabilities nor times."""
    n = batch.num_rows
    return {
        **{name: batch.column(name) for name in CAPTURED},
        "probabilities": pa.nulls(n, SCHEMA.field("probabilities").type),
        "seconds": pa.nulls(n, pa.float32()),
    }


def _listed(probabilities: npt.NDArray[np.float64], readable: npt.NDArray[np.bool_]) -> pa.Array:
    """Return probabilities of shape (m, k) as lists of the n rows, null where not predicted."""
    places = np.cumsum(readable) - 1
    rows = pa.FixedSizeListArray.from_arrays(probabilities.ravel(), probabilities.shape[1])
    return rows.take(pa.array(places, mask=~readable)).cast(SCHEMA.field("probabilities").type)


def _text(batch: pa.RecordBatch, name: str, sent: Sequence[str]) -> pa.Array:
    """Return a feature as text, so that versions with different types for it share groups."""
    kept = column_of(name)
    if kept not in sent:
        return pa.nulls(batch.num_rows, pa.string())
    column = batch.column(kept)
    if pa.types.is_floating(column.type):
        column = column.cast(pa.float64())
    return column.cast(pa.string())


def default_groups(contract: ModelContract) -> tuple[str, ...]:
    """Return the features to group by: text, booleans, and numbers of a small range.

    A small range ends in whole numbers at most twelve apart, such as a phase from 0 to 9.
    """
    found = []
    for feature in contract.features:
        low, high = feature.min, feature.max
        small = None not in (low, high) and low % 1 == high % 1 == 0 and high - low <= 12  # type: ignore[operator]
        if feature.type in ("string", "boolean") or small:
            found.append(feature.name)
    return tuple(found)
