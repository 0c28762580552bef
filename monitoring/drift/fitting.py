"""Fitting of a baseline on rows. Pure."""

from collections.abc import Iterable
from datetime import UTC, datetime

import pyarrow as pa

from core.messages import N_
from monitoring.drift.baseline import SCORE, Baseline, fit_profiles
from monitoring.drift.errors import BaselineError


def fit_baseline(reference: pa.Table | Iterable[pa.RecordBatch]) -> Baseline:
    """Fit a baseline on a reference: bins, counts and missing rates per feature and for the score.

    The reference has one row per instance; every column is a feature but `score`, which may be
    absent. The baseline has no version yet; set it with `dataclasses.replace`.

    Raises:
        BaselineError: there is no row, or no feature.
        TableError: a column holds neither numbers, booleans, strings nor dates; names it.
    """
    table = reference if isinstance(reference, pa.Table) else _gather(reference)
    if not table.num_rows:
        raise BaselineError(N_("The reference has no row; no baseline can be made of it."))
    profiles = fit_profiles(table)
    features = tuple(profile for profile in profiles if profile.name != SCORE)
    if not features:
        raise BaselineError(N_("The reference has no column besides {score}."), score=SCORE)
    score = next((profile for profile in profiles if profile.name == SCORE), None)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return Baseline(features, score, table.num_rows, created)


def _gather(batches: Iterable[pa.RecordBatch]) -> pa.Table:
    """Return all batches as one table: quantiles need every value."""
    gathered = list(batches)
    return pa.Table.from_batches(gathered) if gathered else pa.table({})
