"""Rows that a baseline is fitted on: a file or a training reference, its features and scores."""

from collections import defaultdict, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from core.contract.model import ModelContract
from core.messages import N_
from core.store.arrow_types import ARROW_TYPES
from core.tables.parquet_folder import open_dataset
from monitoring.drift.baseline import SCORE
from monitoring.drift.errors import BaselineError

Scorer = Callable[[pa.Table], npt.NDArray[np.float64]]

PERIOD = "period"
"""Column of a reference that holds the period of a row; not a feature."""


def read_source(path: Path) -> pa.Table:
    """Read a Parquet file, a folder of them, or a Delta table.

    Raises:
        BaselineError: it is absent, or damaged.
        UnreadableTable: it is not Parquet, or cannot be read correctly; gives the reason.
    """
    if not path.exists():
        raise BaselineError(N_("The file {path} does not exist; check --source."), path=path)
    try:
        return open_dataset(path).to_table()
    except (pa.ArrowException, OSError) as exc:
        raise BaselineError(N_("The file {path} is no readable Parquet."), path=path) from exc


def select_features(table: pa.Table, contract: ModelContract, source: str) -> pa.Table:
    """Return the contract's features in its order and types, each under its column of the store.

    Other columns are left out.

    Raises:
        BaselineError: a feature is absent, or its values do not fit its type; names it.
    """
    absent = [name for name in contract.feature_names if name not in table.column_names]
    if absent:
        text = N_("In {source}, columns of the contract are missing: {columns}.")
        raise BaselineError(text, source=source, columns=", ".join(absent))
    columns = {}
    for feature in contract.features:
        try:
            columns[feature.column] = table.column(feature.name).cast(ARROW_TYPES[feature.type])
        except pa.ArrowException:
            # Arrow's message quotes the value, which may be personal data: leave it out.
            text = N_("In {source}, column {name} has values that are not {type}.")
            facts = {"source": source, "name": feature.name, "type": feature.type}
            raise BaselineError(text, **facts) from None
    return pa.table(columns)


def newest_rows(known: pa.Table | None) -> tuple[pa.Table | None, int | None]:
    """Return a reference's rows of its newest period, and that; all rows and None without one.

    Periods differ in scale and in missing values, so a baseline of several matches none of them:
    each one would be RED against it.
    """
    if known is None or PERIOD not in known.column_names:
        return known, None
    newest = pc.max(known.column(PERIOD)).as_py()
    if newest is None:
        return known, None
    return known.filter(pc.equal(known.column(PERIOD), newest)), int(newest)


def score_rows(
    features: pa.Table, known: pa.Table | None, scorer: Scorer
) -> tuple[pa.Table, dict[str, int]]:
    """Give each row a score by a fit that was not trained on it; count the scores by origin.

    Rows that equal a row of `known` (the training reference: the features and `score`) take its
    out-of-fold score, since the served fit was trained on them and would score them too well; rows
    that equal several known rows take their scores in turn. `scorer` scores the others.
    """
    scores = np.full(features.num_rows, np.nan)
    by_row = _scores_by_row(known) if known is not None else {}
    unseen = []
    for index, key in enumerate(_keys(features)):
        waiting = by_row.get(key)
        if waiting:
            scores[index] = waiting[0]
            waiting.rotate(-1)
        else:
            unseen.append(index)
    if unseen:
        scores[unseen] = scorer(features.take(unseen))
    table = features.append_column(SCORE, pa.array(scores))
    return table, {"reference": features.num_rows - len(unseen), "model": len(unseen)}


def _scores_by_row(known: pa.Table) -> dict[tuple[Any, ...], deque[float]]:
    scores: dict[tuple[Any, ...], deque[float]] = defaultdict(deque)
    keys = _keys(known.drop_columns([SCORE]))
    for key, score in zip(keys, known.column(SCORE).to_pylist(), strict=True):
        if score is not None:
            scores[key].append(score)
    return scores


def _keys(table: pa.Table) -> list[tuple[Any, ...]]:
    """Return each row as a tuple of its values, with None for NaN so that NaN equals NaN."""
    columns = []
    for column in table.columns:
        if pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_nan(column), None, column)
        columns.append(column.to_pylist())
    return list(zip(*columns, strict=True))
