"""Captured rows answered again by two versions: narrow rows of what each says, without features."""

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
"""What the rows keep of the store."""
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
"""What is added: the answer of the version before and, as `shadow`, that of the candidate, each
with the seconds that a row took; why the candidate refuses the row, null where it does not."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Who answers again.

    Attributes:
        after: the candidate.
        before: the version beside it; None: what was captured is what it said.
        groups: features by which the rows are told apart.
    """

    after: VersionScorer
    before: VersionScorer | None
    groups: tuple[str, ...]

    def rows(self, batch: pa.RecordBatch, sent: Sequence[str]) -> pa.RecordBatch:
        """Return a batch's keys and groups with both answers.

        It holds `KEYS`, `CAPTURED` and features, the latter in the columns `sent`.

        Raises:
            ScoringError: a model does not answer.
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
    """Return no row, with the columns that rows have."""
    keys = [(name, ARROW_TYPES[LEADING_COLUMNS[name]]) for name in KEYS]
    of_groups = [(f"@{name}", pa.string()) for name in groups]
    return pa.schema([*keys, *of_groups, *SCHEMA]).empty_table()


def gathered(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the same rows in batches that are worth a call of a model."""
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
    """Return what a version says of the rows that its contract lets it read."""
    n = batch.num_rows
    found = list(problems(batch, sent, scorer.contract))
    readable = np.ones(n, dtype=np.bool_)
    for _field, problem, rows in found:
        if problem != UNKNOWN_FIELD:  # it would be refused, but what it says can be told
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
    """Return what was answered then; it costs nothing to say it again."""
    n = batch.num_rows
    return {
        **{name: batch.column(name) for name in CAPTURED},
        "probabilities": pa.nulls(n, SCHEMA.field("probabilities").type),
        "seconds": pa.nulls(n, pa.float32()),
    }


def _listed(probabilities: npt.NDArray[np.float64], readable: npt.NDArray[np.bool_]) -> pa.Array:
    """Return probabilities of shape (m, k) as lists of the n rows, null where nothing was said."""
    places = np.cumsum(readable) - 1
    rows = pa.FixedSizeListArray.from_arrays(probabilities.ravel(), probabilities.shape[1])
    return rows.take(pa.array(places, mask=~readable)).cast(SCHEMA.field("probabilities").type)


def _text(batch: pa.RecordBatch, name: str, sent: Sequence[str]) -> pa.Array:
    """Return a feature as text, so that versions that type it differently meet in one group."""
    kept = column_of(name)
    if kept not in sent:
        return pa.nulls(batch.num_rows, pa.string())
    column = batch.column(kept)
    if pa.types.is_floating(column.type):
        column = column.cast(pa.float64())
    return column.cast(pa.string())


def default_groups(contract: ModelContract) -> tuple[str, ...]:
    """Return the features that tell groups of rows: categories, and small whole ranges.

    Such as a phase from 0 to 9: a number whose range ends in whole numbers at most twelve apart.
    """
    found = []
    for feature in contract.features:
        low, high = feature.min, feature.max
        small = None not in (low, high) and low % 1 == high % 1 == 0 and high - low <= 12  # type: ignore[operator]
        if feature.type in ("string", "boolean") or small:
            found.append(feature.name)
    return tuple(found)
