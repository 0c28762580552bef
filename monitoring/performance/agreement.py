"""Agreement of two versions on the same rows: how often and by how much they differ. Pure."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import special

from core.captured.latest import LatestPerEntity
from core.contract.model import CLASSES
from core.metrics.resampling import Estimate, Floats, Z, wilson

KEYS = ("request_id", "instance")
COLUMNS = (*KEYS, "timestamp", "entity", "score", "label")
"""Columns read from the store; none is a feature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """Differences of two versions' scores or values on the same rows; holds no identity.

    Attributes:
        n_instances: rows that both scored; `n_entities`: the latest of each entity among them, the
            basis of all other numbers.
        mean_answered, mean_shadow: mean scores, or predicted values.
        shift: mean of the shadow's minus the answered one, with its normal interval.
        shift_quantiles: of that difference at 5, 50 and 95 %.
        rank_correlation: Spearman's; None where one side is constant.
    """

    n_instances: int
    n_entities: int
    mean_answered: float | None
    mean_shadow: float | None
    shift: Estimate
    shift_quantiles: tuple[float, ...]
    rank_correlation: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement(Shift):
    """Flags and scores over the rows that both versions scored.

    Attributes:
        n_both, n_neither, n_only_answered, n_only_shadow: rows by which versions flag them.
        share_differ: share whose flags differ, with Wilson's interval (1927).
        p_value: of equal flag rates, McNemar's exact test (1947) on the rows that differ.
        mean_distance: mean of the absolute difference of the scores.
    """

    n_both: int
    n_neither: int
    n_only_answered: int
    n_only_shadow: int
    share_differ: Estimate
    p_value: float | None
    mean_distance: float | None
    kind: str = ""


def pair(answered: pa.Table, shadow: pa.Table, kind: str = "") -> pa.Table:
    """Join the rows of both tables (`COLUMNS`) by request and instance, where both have an output.

    That is a score, or a class where `kind`, the contract's `output_kind`, is `CLASSES`.

    Returns:
        `timestamp`, `entity`, `score`, `label`, `shadow_score`, `shadow_label`. A key that occurs
        twice on a side, since a client reused its request id, is ambiguous and left out.
    """
    left, right = _single(answered), _single(shadow).select([*KEYS, "score", "label"])
    right = right.rename_columns([*KEYS, "shadow_score", "shadow_label"])
    joined = left.join(right, keys=list(KEYS), join_type="inner")
    return said_by_both(joined, kind).drop_columns(list(KEYS))


def said_by_both(rows: pa.Table, kind: str) -> pa.Table:
    """Return the rows with a score of both versions, or with a class of both for `CLASSES`."""
    said, is_said = ("label", pc.is_valid) if kind == CLASSES else ("score", pc.is_finite)
    return rows.filter(pc.and_(is_said(rows[said]), is_said(rows[f"shadow_{said}"])))


def latest_rows(paired: pa.Table) -> pa.Table:
    """Return the latest row of each entity, and every row without one."""
    latest = LatestPerEntity()
    for batch in paired.to_batches():
        latest.add(batch.column("entity"), batch.column("timestamp"))
    return paired.filter(pa.array(latest.kept()))


def agree(paired: pa.Table) -> Agreement:
    """Measure the agreement on paired rows, the latest row of each entity only."""
    rows = latest_rows(paired)
    score, other = two_scores(rows)
    flag, flagged = (rows[name].to_numpy() == 1 for name in ("label", "shadow_label"))
    only_answered, only_shadow = int((flag & ~flagged).sum()), int((flagged & ~flag).sum())
    differ, n = only_answered + only_shadow, rows.num_rows
    return Agreement(
        **shift_of(paired, rows),
        n_both=int((flag & flagged).sum()),
        n_neither=int((~flag & ~flagged).sum()),
        n_only_answered=only_answered,
        n_only_shadow=only_shadow,
        share_differ=wilson(differ, n),
        p_value=_balanced(only_answered, only_shadow) if differ else None,
        mean_distance=float(np.abs(other - score).mean()) if n else None,
    )


def two_scores(rows: pa.Table) -> tuple[Floats, Floats]:
    """Return the answered and the shadow's scores, shape (n,) each."""
    return rows["score"].to_numpy(), rows["shadow_score"].to_numpy()


def shift_of(paired: pa.Table, rows: pa.Table) -> dict[str, Any]:
    """Return the fields of a `Shift`; `rows` are the latest of each entity in `paired`."""
    score, other = two_scores(rows)
    shift, n = other - score, rows.num_rows
    return {
        "n_instances": paired.num_rows,
        "n_entities": n,
        "mean_answered": float(score.mean()) if n else None,
        "mean_shadow": float(other.mean()) if n else None,
        "shift": _mean(shift),
        "shift_quantiles": tuple(np.quantile(shift, [0.05, 0.5, 0.95]).tolist()) if n else (),
        "rank_correlation": _rank_correlation(score, other),
    }


def _single(table: pa.Table) -> pa.Table:
    """Return the rows whose key is unique in the table."""
    others = [name for name in COLUMNS if name not in KEYS]
    wanted = [([], "count_all"), *((name, "one") for name in others)]
    found = table.group_by(list(KEYS)).aggregate(wanted)
    found = found.filter(pc.equal(found["count_all"], 1))
    return found.select([*KEYS, *(f"{n}_one" for n in others)]).rename_columns([*KEYS, *others])


def _balanced(some: int, others: int) -> float:
    """Return the two-sided binomial p-value of an even split."""
    return float(min(1.0, 2 * special.bdtr(min(some, others), some + others, 0.5)))


def _mean(values: Floats) -> Estimate:
    """Return the mean with its normal interval."""
    if not len(values):
        return Estimate(None)
    mean = float(values.mean())
    if len(values) < 2:
        return Estimate(mean)
    half = Z * float(values.std(ddof=1)) / np.sqrt(len(values))
    return Estimate(mean, float(mean - half), float(mean + half))


def _rank_correlation(one: Floats, other: Floats) -> float | None:
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(np.corrcoef(_midranks(one), _midranks(other))[0, 1])


def _midranks(values: Floats) -> Floats:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks
