"""Drift within slices of the rows: one comparison for each value of a column. Pure.

A slice is compared with the same slice of the reference, in bins of its own. The chance of a false
alarm is shared among the slices (Bonferroni), so that the report as a whole raises one as seldom as
a comparison of all rows does.
"""

import math
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from core.contract.columns import feature_of
from core.messages import _
from monitoring.drift.baseline import OF_COLUMN, SCORE
from monitoring.drift.comparison import ALARMS, DriftResult, Status, compare
from monitoring.drift.errors import TableError
from monitoring.drift.fitting import fit_baseline
from monitoring.drift.policy import DriftPolicy

MOST_SLICES = 50
"""Largest number of values of a column to slice by."""


@dataclass(frozen=True, slots=True)
class SliceDrift:
    """Drift among the rows with one value of a column.

    Attributes:
        name: the value, as text.
        n_reference, n_window: rows with the value.
        status: verdict of its comparison; INCONCLUSIVE with too few rows on either side.
        drifted: columns of that status, if it is RED or YELLOW, largest effect first.
    """

    name: str
    n_reference: int
    n_window: int
    status: Status
    drifted: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, fit for JSON."""
        data = asdict(self)
        return {"value": data.pop("name"), **data}


def by_slice(
    reference: pa.Table, window: pa.Table, column: str, policy: DriftPolicy | None = None
) -> tuple[SliceDrift, ...]:
    """Compare the rows of a window with those of a reference, by each value of a column.

    Both have features and, if there is one, `score` as columns, one row per instance; rows without
    a value form a slice of their own. The policy is that of the whole report, the runbook's by
    default.

    Raises:
        TableError: the column has more than `MOST_SLICES` values.
    """
    policy = policy or DriftPolicy()
    tables = reference, window
    values = [pc.fill_null(pc.cast(table[column], pa.string()), _("missing")) for table in tables]
    found = {name for each in values for name in each.unique().to_pylist()}
    if len(found) > MOST_SLICES:
        reason = _("{n} values are too many to tell rows apart by", n=len(found))
        raise TableError(OF_COLUMN, name=feature_of(column), reason=reason)
    shared = replace(
        policy,
        significance_warning=policy.significance_warning / max(1, len(found)),
        significance_alert=policy.significance_alert / max(1, len(found)),
    )
    slices = []
    for name in sorted(found, key=natural_order):
        before, now = (
            table.filter(pc.equal(each, name)).drop_columns([column])
            for table, each in zip(tables, values, strict=True)
        )
        slices.append(_of_slice(name, before, now, shared))
    return tuple(slices)


def _of_slice(name: str, reference: pa.Table, window: pa.Table, policy: DriftPolicy) -> SliceDrift:
    counts = name, reference.num_rows, window.num_rows
    if min(counts[1:]) < policy.min_rows:
        return SliceDrift(*counts, Status.INCONCLUSIVE, ())
    result = compare(fit_baseline(reference), window, policy)
    return SliceDrift(*counts, result.global_status, tuple(_drifted(result)))


def _drifted(result: DriftResult) -> list[str]:
    return [
        _("score") if column.name == SCORE else column.name
        for column in result.ranked()
        if column.status is result.global_status in ALARMS
    ]


def natural_order(name: str) -> tuple[int, float, str]:
    """Return a sort key that orders numbers by size, before all other names."""
    with suppress(ValueError):
        if math.isfinite(size := float(name)):
            return 0, size, name
    return 1, 0.0, name
