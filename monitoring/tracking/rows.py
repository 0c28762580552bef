"""Rows to compare with besides a stored baseline: the window before, the training reference."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from core.captured.reader import Captures
from core.contract import names
from core.contract.model import CLASSES
from core.messages import N_, _
from core.store.filesystem import Store
from monitoring.drift.baseline import SCORE, Baseline
from monitoring.drift.errors import BaselineError
from monitoring.drift.expected import tally_of
from monitoring.drift.fitting import fit_baseline
from monitoring.drift.reference import newest_rows, select_features
from monitoring.tracking.jobs import JobRegistry, MonitoredVersion
from monitoring.tracking.window import Window


def baseline_of(
    version: MonitoredVersion,
    table: pa.Table,
    source: str,
    classes: tuple[str, ...] = (),
    scored_by: Mapping[str, int] | None = None,
) -> Baseline:
    """Fit a version's baseline on features and score (`fit_baseline`); `source` is display text.

    Raises:
        BaselineError: there is no row, or no feature.
        TableError: a column holds neither numbers, booleans, strings nor dates; names it.
    """
    return replace(
        fit_baseline(table),
        model_name=version.name,
        model_version=version.release,
        registry_version=version.number,
        source=source,
        classes=classes,
        scored_by=scored_by or {},
    )


def preceding(
    window: Window, store: Store, version: MonitoredVersion, registry: JobRegistry
) -> tuple[pa.Table, Baseline, Captures]:
    """Return a version's rows of the preceding window of the same length.

    With them the baseline fitted on them, and the captures that they were read from.

    Raises:
        BaselineError: that window has no rows.
        StoreError: the store does not exist.
    """
    assert window.start is not None  # noqa: S101 - a drift report always has a limit
    before = Window(window.days, window.start)
    classes = registry.classes(version) if version.contract.output_kind == CLASSES else ()
    captures = before.captures(store, version, classes=len(classes))
    table = answered(captures, version, classes)
    if not table.num_rows:
        text = N_(
            "Version {version} answered nothing in the {days} days before the window; there is "
            "nothing to compare with."
        )
        raise BaselineError(text, version=version.release, days=float(window.days or 0))
    source = _("the {days} days before the window", days=float(window.days or 0))
    made = baseline_of(version, table, source, classes)
    made = replace(made, created_at=before.end.isoformat(timespec="seconds"))
    return table, made, captures


def answered(captures: Captures, version: MonitoredVersion, classes: Sequence[str]) -> pa.Table:
    """Return features and score, or the class name, of the latest row of each entity."""
    tally = tally_of(classes)
    batches = list(tally.watch(captures.batches(tally.columns)))
    if not batches:
        return pa.table({})
    table = pa.Table.from_batches(batches)
    scored = [SCORE] if table[SCORE].null_count < len(table) else []
    return table.select([*version.contract.feature_columns, *scored])


def trained(registry: JobRegistry, version: MonitoredVersion) -> pa.Table:
    """Return the newest period of the version's training reference: features and any score.

    Raises:
        BaselineError: the version has no training reference.
    """
    known, _newest = newest_rows(registry.reference(version))
    if known is None:
        text = N_(
            "Version {version} keeps no {artifact} to slice; compare two windows: "
            "--against previous-window"
        )
        raise BaselineError(text, version=version.release, artifact=names.ARTIFACT_REFERENCE)
    features = select_features(known, version.contract, names.ARTIFACT_REFERENCE)
    if SCORE not in known.column_names or version.contract.outputs:
        return features
    return features.append_column(SCORE, known.column(SCORE))
