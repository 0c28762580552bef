"""Journal rows of an answered request: one for each instance, in the version's format."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from core.contract.columns import probability_columns
from core.contract.model import CLASSES
from core.contract.pseudonym import stored
from core.store.schema import JournalHeader
from serving.engine.job import Job
from serving.model.loading import LoadedVersion

_GIVEN = (
    *("request_id", "instance", "timestamp", "entity", "period"),
    *("score", "label", "threshold", "scored_ms"),
)
"""Columns of every row, in order; the features follow, and after them the probability of each class
where the version returns it."""


class RowFormat(NamedTuple):
    """Journal header of a version, and the function that makes a row from its column values.

    `classes` is the number of probability columns, which follow the features.
    """

    header: JournalHeader
    row_of: Callable[[Sequence[Any]], Sequence[Any]]
    classes: int


def format_of(version: LoadedVersion, role: str) -> RowFormat:
    """Return the row format of a version in a role."""
    constants = {
        "model_name": version.name,
        "model_version": version.contract.release,
        "registry_version": version.number,
        "role": role,
    }
    features = {feature.column: feature.type for feature in version.contract.features}
    said = version.contract.output_kind == CLASSES
    kept = probability_columns(version.score.kept_classes if said else 0)
    header = JournalHeader.of(constants, {**features, **kept})
    return RowFormat(header, header.row_maker((*_GIVEN, *features, *kept)), len(kept))


def rows_of(job: Job, form: RowFormat, key: str) -> list[Sequence[Any]]:
    """Return a scored job's journal rows; entities only as pseudonyms, made with the key."""
    given, request_id, scored_ms = job.instances, job.context.request_id, job.context.elapsed_ms()
    prefix = job.model.version.contract.entity_prefix
    timestamp, threshold = time.time_ns() // 1000, job.model.threshold
    periods = given.periods or (None,) * len(given.rows)
    outputs = zip(job.scores, job.labels, _probabilities(job, form.classes), strict=True)
    columns = zip(given.rows, given.entities, periods, outputs, strict=True)
    return [
        form.row_of(
            (
                *(request_id, number, timestamp),
                stored(entity, key, prefix),
                *(period, score, label, threshold, scored_ms),
                *row,
                *probabilities,
            )
        )
        for number, (row, entity, period, (score, label, probabilities)) in enumerate(columns)
    ]


def _probabilities(job: Job, classes: int) -> Sequence[Sequence[float | None]]:
    """Return the class probabilities per instance; null where the output has another shape."""
    if not classes:
        return ((),) * len(job.instances.rows)
    if np.shape(job.output) != (len(job.instances.rows), classes):
        return ((None,) * classes,) * len(job.instances.rows)
    found: list[list[float | None]] = np.asarray(job.output, dtype=np.float64).tolist()
    return found
