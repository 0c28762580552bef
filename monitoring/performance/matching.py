"""Labels meet the answers that they judge: joined while streaming, the latest answer per entity."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from core.contract.columns import LEADING_COLUMNS, TRAILING_COLUMNS
from core.store.arrow_types import ARROW_TYPES
from core.store.latest import LatestPerEntity
from monitoring.performance.groups import named
from monitoring.performance.labels import By, Key, Labels

COLUMNS = ("request_id", "instance", "timestamp", "entity", "score", "label", "threshold")
"""What is read of the store; no feature."""
_KEPT = ["timestamp", "score", "label", "threshold"]


@dataclass(frozen=True, slots=True)
class Matched:
    """Labelled answers, one per entity, shape (n_rows,) each, and how many there might have been.

    Attributes:
        target, score, flag: label, score and answered flag.
        months: when the answer was given, UTC, for example `2025-03`.
        thresholds: the distinct thresholds under which they were answered.
        n_answers: answers in the window; `n_entities` after the latest per entity.
        n_labelled: answers with a label, before the latest per entity.
        n_unmatched: labels that no answer of the window has.
        groups: values of the columns asked for, as a report names them, n_rows of them each.
    """

    target: npt.NDArray[np.int64]
    score: npt.NDArray[np.float64]
    flag: npt.NDArray[np.int64]
    months: list[str]
    thresholds: tuple[float, ...]
    n_answers: int
    n_entities: int
    n_labelled: int
    n_unmatched: int
    groups: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """Return the number of labelled answers that count."""
        return len(self.target)

    @property
    def coverage(self) -> float | None:
        """Return the share of the window's entities whose label is known; None without any."""
        return self.n_rows / self.n_entities if self.n_entities else None


def match(labels: Labels, answers: Iterable[pa.RecordBatch], groups: Sequence[str] = ()) -> Matched:
    """Join labels with answers; memory holds the labels and what they match.

    `groups` are columns of the answers, or of the file of labels where it has them.

    An entity's label judges its latest answer of the window. A request's label judges that very
    answer; where an entity has several labelled ones, the latest counts. Answers without a score
    have nothing to judge.
    """
    everyone, labelled = LatestPerEntity(), LatestPerEntity()
    wanted = pa.array({key if isinstance(key, str) else key[0] for key in labels.targets})
    wanted = wanted.cast(pa.string())
    found: set[Key] = set()
    chosen: list[pa.RecordBatch] = []
    targets: list[int] = []
    values: dict[str, list[str]] = {name: [] for name in groups}
    n_answers = 0
    for batch in answers:
        n_answers += batch.num_rows
        everyone.add(batch.column("entity"), batch.column("timestamp"))
        batch = _judged(batch, labels.by, wanted)
        known = [(key, labels.targets.get(key)) for key in _keys(batch, labels.by)]
        places = [place for place, (_, target) in enumerate(known) if target is not None]
        found.update(known[place][0] for place in places)
        targets += [target for _, target in known if target is not None]
        rows = batch.take(pa.array(places, pa.int64()))
        labelled.add(rows.column("entity"), rows.column("timestamp"))
        chosen.append(rows)
        for name, cells in values.items():
            cells += _values(name, rows, [known[place][0] for place in places], labels)
    kept = labelled.kept()
    table = _stacked(chosen).filter(pa.array(kept))
    return Matched(
        target=np.array(targets, dtype=np.int64)[kept],
        score=table.column("score").to_numpy(),
        flag=table.column("label").to_numpy(),
        months=pc.strftime(table.column("timestamp"), format="%Y-%m").to_pylist(),
        thresholds=tuple(sorted(table.column("threshold").drop_null().unique().to_pylist())),
        n_answers=n_answers,
        n_entities=int(everyone.kept().sum()),
        n_labelled=len(targets),
        n_unmatched=len(labels.targets) - len(found),
        groups={name: list(compress(cells, kept)) for name, cells in values.items()},
    )


def _values(name: str, rows: pa.RecordBatch, keys: Sequence[Key], labels: Labels) -> list[str]:
    """Return a column's values of the matched rows, from where it is."""
    of_labels = labels.columns.get(name)
    if of_labels is None:
        return [named(value) for value in rows.column(name).to_pylist()]
    return [named(of_labels.get(key)) for key in keys]


def _judged(batch: pa.RecordBatch, by: By, wanted: pa.Array) -> pa.RecordBatch:
    """Return the rows that were scored and may have a label."""
    keys = batch.column("entity" if by == "entity" else "request_id")
    scored = pc.and_(pc.is_finite(batch.column("score")), pc.is_valid(batch.column("label")))
    mask = pc.and_(pc.is_in(keys, value_set=wanted), scored)
    return batch.filter(mask, null_selection_behavior="drop")


def _keys(batch: pa.RecordBatch, by: By) -> list[Key]:
    if by == "entity":
        return list(batch.column("entity").to_pylist())
    columns = (batch.column(name).to_pylist() for name in ("request_id", "instance"))
    return list(zip(*columns, strict=True))


def _stacked(chosen: Sequence[pa.RecordBatch]) -> pa.Table:
    """Return what the verdict needs of the matched rows as one table, empty where there is none."""
    kinds = {name: ARROW_TYPES[{**LEADING_COLUMNS, **TRAILING_COLUMNS}[name]] for name in _KEPT}
    schema = pa.schema(kinds.items())
    return pa.Table.from_batches([rows.select(_KEPT) for rows in chosen], schema)
