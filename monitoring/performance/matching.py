"""Streaming join of labels with captured predictions, keeping the latest of each entity."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from core.captured.latest import LatestPerEntity
from core.captured.reader import Captures
from core.contract.columns import LEADING_COLUMNS, TRAILING_COLUMNS, column_of
from core.contract.model import CLASSES, VALUE
from core.store.arrow_types import ARROW_TYPES
from monitoring.performance.groups import named
from monitoring.performance.labels import By, Key, Labels

COLUMNS = (
    *("request_id", "instance", "timestamp", "entity", "period"),
    *("score", "label", "threshold"),
)
"""Columns read from the store; none is a feature."""
_KEPT = ["timestamp", "score", "label", "threshold"]


@dataclass(frozen=True, slots=True)
class Matched:
    """Labelled predictions, one per entity, shape (n_rows,) each, and the coverage counts.

    Attributes:
        target, score, flag: label, score and predicted flag or class; a predicted value has flag 0.
        months: month of the prediction, UTC, for example `2025-03`.
        thresholds: the distinct thresholds that were applied.
        n_answers: predictions in the window for the labels' periods; `n_entities`: the latest per
            entity among them (and per period, where the labels have several).
        n_labelled: predictions with a label, before keeping the latest per entity.
        n_unmatched: labels without a prediction in the window for their period.
        n_other_period, n_without_period: predictions in the window that no label can evaluate,
            since they are for another period, or have none.
        groups: display texts of the requested columns' values, n_rows of them each.
        probabilities: of each class, shape (n_rows, k); None where capture kept none.
    """

    target: npt.NDArray[np.int64] | npt.NDArray[np.float64]
    score: npt.NDArray[np.float64]
    flag: npt.NDArray[np.int64]
    months: list[str]
    thresholds: tuple[float, ...]
    n_answers: int
    n_entities: int
    n_labelled: int
    n_unmatched: int
    groups: Mapping[str, list[str]] = field(default_factory=dict)
    n_other_period: int = 0
    n_without_period: int = 0
    probabilities: npt.NDArray[np.float64] | None = None

    @property
    def n_rows(self) -> int:
        """Return the number of labelled predictions, one per entity."""
        return len(self.target)

    @property
    def coverage(self) -> float | None:
        """Return the share of the window's entities whose label is known; None without any."""
        return self.n_rows / self.n_entities if self.n_entities else None


def versions_that_answered(captures: Captures, labels: Labels) -> list[int]:
    """Return the numbers of the versions with predictions for the labels' periods."""
    batches = captures.rows(["registry_version", "period"])
    return numbers_of(_of_periods(_with_period(batch, labels), labels) for batch in batches)


def numbers_of(answers: Iterable[pa.RecordBatch]) -> list[int]:
    """Return the numbers of the versions that gave these predictions, in ascending order."""
    found = (batch.column("registry_version").unique().to_pylist() for batch in answers)
    return sorted({number for numbers in found for number in numbers})


def match(
    labels: Labels,
    answers: Iterable[pa.RecordBatch],
    groups: Sequence[str] = (),
    output_kind: str = "",
    probabilities: Sequence[str] = (),
) -> Matched:
    """Join labels with predictions; memory holds the labels and the rows that match them.

    `groups` are captured features, or columns of the file of labels where it has them;
    `output_kind` is the contract's; `probabilities` are the columns of the class probabilities.

    A label by entity evaluates its latest prediction in the window for the label's period. A label
    by request evaluates that prediction; where an entity has several labelled ones, the latest
    counts. Predictions without an output are left out.
    """
    everyone, labelled = LatestPerEntity(), LatestPerEntity()
    whose = (who for who, _period in labels.targets)
    wanted = pa.array({who if isinstance(who, str) else who[0] for who in whose}, pa.string())
    found: set[Key] = set()
    chosen: list[pa.RecordBatch] = []
    targets: list[float] = []
    values: dict[str, list[str]] = {name: [] for name in groups}
    n_answers = n_read = n_without_period = 0
    for batch in answers:
        n_read += batch.num_rows
        batch = _with_period(batch, labels)
        n_without_period += batch.column("period").null_count if labels.periods else 0
        batch = _of_periods(batch, labels)
        n_answers += batch.num_rows
        everyone.add(_counted(batch, labels), batch.column("timestamp"))
        batch = _judged(batch, labels.by, wanted, output_kind)
        known = [(key, labels.targets.get(key)) for key in _keys(batch, labels)]
        places = [place for place, (_, target) in enumerate(known) if target is not None]
        found.update(known[place][0] for place in places)
        targets += [target for _, target in known if target is not None]
        rows = batch.take(pa.array(places, pa.int64()))
        labelled.add(_counted(rows, labels), rows.column("timestamp"))
        chosen.append(rows)
        for name, cells in values.items():
            cells += _values(name, rows, [known[place][0] for place in places], labels)
    kept = labelled.kept()
    table = _stacked(chosen, probabilities).filter(pa.array(kept))
    return Matched(
        target=np.array(targets).astype(float if output_kind == VALUE else np.int64)[kept],
        score=table.column("score").to_numpy(),
        flag=pc.fill_null(table.column("label"), 0).to_numpy(),
        months=pc.strftime(table.column("timestamp"), format="%Y-%m").to_pylist(),
        thresholds=tuple(sorted(table.column("threshold").drop_null().unique().to_pylist())),
        n_answers=n_answers,
        n_entities=int(everyone.kept().sum()),
        n_labelled=len(targets),
        n_unmatched=len(labels.targets) - len(found),
        groups={name: list(compress(cells, kept)) for name, cells in values.items()},
        n_other_period=n_read - n_answers - n_without_period,
        n_without_period=n_without_period,
        probabilities=_matrix(table, probabilities),
    )


def _with_period(batch: pa.RecordBatch, labels: Labels) -> pa.RecordBatch:
    """Return the rows, with the period given to the command in place of missing ones."""
    if labels.assumed is None:
        return batch
    place = batch.schema.get_field_index("period")
    stated = pc.fill_null(batch.column("period"), labels.assumed)
    return batch.set_column(place, batch.schema.field(place), stated)


def _of_periods(batch: pa.RecordBatch, labels: Labels) -> pa.RecordBatch:
    """Return the rows of the labels' periods; all rows where periods do not apply."""
    if not labels.periods:
        return batch
    judged = pa.array(sorted(labels.periods), pa.int64())
    return batch.filter(pc.is_in(batch.column("period"), value_set=judged))


def _counted(batch: pa.RecordBatch, labels: Labels) -> pa.Array:
    """Return the key by which the latest row is kept: the entity, with the period if several."""
    entities = batch.column("entity")
    if len(labels.periods) < 2:
        return entities
    return pc.binary_join_element_wise(entities, batch.column("period").cast(pa.string()), "@")


def _values(name: str, rows: pa.RecordBatch, keys: Sequence[Key], labels: Labels) -> list[str]:
    """Return a column's display texts of the matched rows, from the labels or the features."""
    of_labels = labels.columns.get(name)
    if of_labels is None:
        return [named(value) for value in rows.column(column_of(name)).to_pylist()]
    return [named(of_labels.get(key)) for key in keys]


def _judged(batch: pa.RecordBatch, by: By, wanted: pa.Array, output_kind: str) -> pa.RecordBatch:
    """Return the rows that have an output and may have a label."""
    keys = batch.column("entity" if by == "entity" else "request_id")
    mask = pc.is_in(keys, value_set=wanted)
    if output_kind != CLASSES:
        mask = pc.and_(mask, pc.is_finite(batch.column("score")))
    if output_kind != VALUE:
        mask = pc.and_(mask, pc.is_valid(batch.column("label")))
    return batch.filter(mask, null_selection_behavior="drop")


def _keys(batch: pa.RecordBatch, labels: Labels) -> list[Key]:
    """Return each row's key, with its period where periods apply."""
    people = batch.column("entity").to_pylist()
    if labels.by == "request":
        columns = (batch.column(name).to_pylist() for name in ("request_id", "instance"))
        people = list(zip(*columns, strict=True))
    periods = batch.column("period").to_pylist() if labels.periods else [None] * len(people)
    return list(zip(people, periods, strict=True))


def _stacked(chosen: Sequence[pa.RecordBatch], probabilities: Sequence[str]) -> pa.Table:
    """Return the columns that the verdict needs of the matched rows as one table, maybe empty."""
    kinds = {name: ARROW_TYPES[{**LEADING_COLUMNS, **TRAILING_COLUMNS}[name]] for name in _KEPT}
    kinds |= dict.fromkeys(probabilities, pa.float64())
    return pa.Table.from_batches([rows.select(list(kinds)) for rows in chosen], pa.schema(kinds))


def _matrix(table: pa.Table, columns: Sequence[str]) -> npt.NDArray[np.float64] | None:
    """Return columns side by side, shape (n, k), null as NaN; None where all are null."""
    if not columns or all(table[name].null_count == len(table) for name in columns):
        return None
    return np.column_stack([table[name].to_numpy() for name in columns])
