"""Baseline of a version's features and score: bins, counts, missing rates."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.contract.columns import column_of, feature_of
from core.messages import N_
from monitoring.drift.bins import MAX_OWN_CATEGORIES, Binning, fit_bins
from monitoring.drift.errors import BaselineError, TableError

SCORE = "score"
"""Column of a reference that holds the score; not a feature."""
FORMAT = 1
OF_COLUMN = N_("Column {name}: {reason}.")
_DAMAGED = N_("The baseline is damaged; build it again.")


@dataclass(frozen=True, slots=True)
class Profile:
    """Counts of one column in one set of rows, in the bins of `binning`; missing is the last bin.

    `name` is the store's column (`core.contract.columns`); files and pages show the feature's name
    instead. `mean` is that of the finite values, None where there is none (or the column holds
    categories).
    """

    name: str
    binning: Binning
    counts: tuple[int, ...]
    mean: float | None = None

    @property
    def n_rows(self) -> int:
        """Return the number of rows, missing ones included."""
        return sum(self.counts)

    @property
    def n_missing(self) -> int:
        """Return the number of rows without a value."""
        return self.counts[-1]

    @property
    def missing_rate(self) -> float | None:
        """Return the share of rows without a value, in [0, 1]; None without rows."""
        return self.n_missing / self.n_rows if self.n_rows else None

    def vector(self) -> npt.NDArray[np.int64]:
        """Return the counts as an array, shape (n_bins,)."""
        return np.array(self.counts, dtype=np.int64)


class Profiler:
    """Streaming counter of one column; memory does not grow with the rows."""

    def __init__(self, name: str, binning: Binning) -> None:
        """Start at zero rows of column `name`."""
        self.name, self._binning = name, binning
        self._counts = np.zeros(binning.n_bins, dtype=np.int64)
        self._sum, self._finite = 0.0, 0

    def add(self, values: pa.Array) -> None:
        """Count one batch.

        Raises:
            TableError: the values do not fit the bins; names the column.
        """
        try:
            counts, total, finite = self._binning.count(values)
        except TableError as exc:
            raise TableError(OF_COLUMN, name=feature_of(self.name), reason=exc) from exc
        self._counts += counts
        self._sum += total
        self._finite += finite

    def merge(self, other: "Profiler") -> None:
        """Add what another profiler counted in the same bins."""
        self._counts += other._counts
        self._sum += other._sum
        self._finite += other._finite

    def profile(self) -> Profile:
        """Return what has been counted so far."""
        mean = self._sum / self._finite if self._finite else None
        mean = mean if mean is None or math.isfinite(mean) else None
        return Profile(self.name, self._binning, tuple(self._counts.tolist()), mean)


@dataclass(frozen=True, slots=True)
class Baseline:
    """The frozen reference of one version.

    Attributes:
        features: one profile per feature, in the reference's column order.
        score: profile of the score; None when the reference had none.
        n_rows: rows of the reference.
        created_at: ISO time in UTC.
        model_name, model_version, registry_version: its version (release and number).
        source: origin of the rows, as display text.
        classes: class names in the model's order, where the score is the predicted class.
        scored_by: number of rows by origin of their score (`reference`, `model`, `capture`).
    """

    features: tuple[Profile, ...]
    score: Profile | None
    n_rows: int
    created_at: str
    model_name: str = ""
    model_version: str = ""
    registry_version: int | None = None
    source: str = ""
    classes: tuple[str, ...] = ()
    scored_by: Mapping[str, int] = field(default_factory=dict)

    @property
    def profiles(self) -> list[Profile]:
        """Return all profiles: of the features, then of the score if there is one."""
        return [*self.features, *([self.score] if self.score else [])]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data without NaN, fit for JSON; `from_dict` reads it back."""
        data = {"format": FORMAT, **asdict(self)}
        for feature in data["features"]:
            feature["name"] = feature_of(feature["name"])
        return data

    @classmethod
    def from_json(cls, text: bytes) -> "Baseline":
        """Read the file of a baseline.

        Raises:
            BaselineError: it is of another format, or damaged.
        """
        try:
            return cls.from_dict(json.loads(text))
        except (ValueError, TypeError) as exc:
            raise BaselineError(_DAMAGED) from exc

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Baseline":
        """Read what `to_dict` wrote.

        Raises:
            BaselineError: the data is of another format, or damaged.
        """
        fields = dict(data)
        if fields.pop("format", None) != FORMAT:
            raise BaselineError(N_("The baseline was written in another format; build it again."))
        try:
            given, score = fields.pop("features"), fields.pop("score")
            features = tuple(_profile(column_of(item["name"]), item) for item in given)
            fields["classes"] = tuple(fields.pop("classes", ()))
            return cls(features, _profile(SCORE, score) if score else None, **fields)
        except (KeyError, TypeError, AttributeError, ValueError) as exc:
            raise BaselineError(_DAMAGED) from exc


def fit_profiles(table: pa.Table) -> list[Profile]:
    """Fit the bins of each column of a table, and count its values in them.

    Raises:
        TableError: a column holds neither numbers, booleans, strings nor dates; names it.
    """
    return [_fit_profile(name, table.column(name)) for name in table.column_names]


def count_profiles(
    profiles: Sequence[Profile], batches: pa.Table | Iterable[pa.RecordBatch]
) -> list[Profile]:
    """Count batches in the bins of `profiles`; columns without a profile are ignored.

    Raises:
        TableError: a column is absent or of another kind; names it.
    """
    profilers = {profile.name: Profiler(profile.name, profile.binning) for profile in profiles}
    for batch in batches.to_batches() if isinstance(batches, pa.Table) else batches:
        absent = [name for name in profilers if name not in batch.schema.names]
        if absent:
            text = N_("Columns that the baseline has are missing: {columns}.")
            raise TableError(text, columns=", ".join(map(feature_of, absent)))
        for name, profiler in profilers.items():
            profiler.add(batch.column(name))
    return [profiler.profile() for profiler in profilers.values()]


def _fit_profile(name: str, column: pa.ChunkedArray) -> Profile:
    try:
        binning = fit_bins(column)
        profiler = Profiler(name, binning.over_probabilities() if name == SCORE else binning)
    except TableError as exc:
        raise TableError(OF_COLUMN, name=feature_of(name), reason=exc) from exc
    for chunk in column.chunks:
        profiler.add(chunk)
    return profiler.profile()


def _profile(name: str, item: Mapping[str, Any]) -> Profile:
    bins = item["binning"]
    own = bins.get("own", MAX_OWN_CATEGORIES)
    binning = Binning(bins["kind"], tuple(bins["points"]), own, bins.get("singles"))
    counts = tuple(int(count) for count in item["counts"])
    if len(counts) != binning.n_bins:
        raise KeyError("counts")
    return Profile(name, binning, counts, item["mean"])
