"""Two versions on the same rows: how often they answer differently, and by how much. Pure."""

from dataclasses import asdict, dataclass
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
"""What is read of the store; no feature."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Counts and shifts over the rows that both versions scored; nobody is named.

    Attributes:
        n_instances: rows that both scored; `n_entities` after the latest of each entity, which is
            what all other numbers count.
        n_both, n_neither, n_only_answered, n_only_shadow: flagged by whom.
        share_differ: share whose flags differ, with Wilson's interval (1927).
        p_value: of both flagging equally many, McNemar's exact test (1947) on the rows that differ.
        mean_answered, mean_shadow: mean scores.
        shift: mean of shadow's score less the answered one, with its normal interval.
        mean_distance: mean of its absolute value; `shift_quantiles`: at 5, 50 and 95 %.
        rank_correlation: Spearman's; None where one side is constant.
    """

    n_instances: int
    n_entities: int
    n_both: int
    n_neither: int
    n_only_answered: int
    n_only_shadow: int
    share_differ: Estimate
    p_value: float | None
    mean_answered: float | None
    mean_shadow: float | None
    shift: Estimate
    mean_distance: float | None
    shift_quantiles: tuple[float, ...]
    rank_correlation: float | None
    kind: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, fit for JSON."""
        return asdict(self)


def pair(answered: pa.Table, shadow: pa.Table, kind: str = "") -> pa.Table:
    """Join the rows of both tables (`COLUMNS`) by request and instance, where both say something.

    That is a score, or a class where the contract's `output_kind` is so.

    Returns:
        `timestamp`, `entity`, `score`, `label`, `shadow_score`, `shadow_label`. A key that a side
        has twice, since a client chose its request id twice, says nothing and is left out.
    """
    left, right = _single(answered), _single(shadow).select([*KEYS, "score", "label"])
    right = right.rename_columns([*KEYS, "shadow_score", "shadow_label"])
    joined = left.join(right, keys=list(KEYS), join_type="inner")
    said, is_said = ("label", pc.is_valid) if kind == CLASSES else ("score", pc.is_finite)
    known = pc.and_(is_said(joined[said]), is_said(joined[f"shadow_{said}"]))
    return joined.filter(known).drop_columns(list(KEYS))


def latest_rows(paired: pa.Table) -> pa.Table:
    """Return the latest row of each entity, and every row without one."""
    latest = LatestPerEntity()
    for batch in paired.to_batches():
        latest.add(batch.column("entity"), batch.column("timestamp"))
    return paired.filter(pa.array(latest.kept()))


def agree(paired: pa.Table) -> Agreement:
    """Measure what `pair` has joined, the latest row of each entity only."""
    rows = latest_rows(paired)
    score, other = (rows[name].to_numpy() for name in ("score", "shadow_score"))
    flag, flagged = (rows[name].to_numpy() == 1 for name in ("label", "shadow_label"))
    only_answered, only_shadow = int((flag & ~flagged).sum()), int((flagged & ~flag).sum())
    differ, n = only_answered + only_shadow, rows.num_rows
    shift = other - score
    return Agreement(
        n_instances=paired.num_rows,
        n_entities=n,
        n_both=int((flag & flagged).sum()),
        n_neither=int((~flag & ~flagged).sum()),
        n_only_answered=only_answered,
        n_only_shadow=only_shadow,
        share_differ=wilson(differ, n),
        p_value=_balanced(only_answered, only_shadow) if differ else None,
        mean_answered=float(score.mean()) if n else None,
        mean_shadow=float(other.mean()) if n else None,
        shift=mean_of_rows(shift),
        mean_distance=float(np.abs(shift).mean()) if n else None,
        shift_quantiles=tuple(np.quantile(shift, [0.05, 0.5, 0.95]).tolist()) if n else (),
        rank_correlation=rank_correlation(score, other),
    )


def _single(table: pa.Table) -> pa.Table:
    """Return the rows whose key the table has once."""
    others = [name for name in COLUMNS if name not in KEYS]
    wanted = [([], "count_all"), *((name, "one") for name in others)]
    found = table.group_by(list(KEYS)).aggregate(wanted)
    found = found.filter(pc.equal(found["count_all"], 1))
    return found.select([*KEYS, *(f"{n}_one" for n in others)]).rename_columns([*KEYS, *others])


def _balanced(some: int, others: int) -> float:
    """Return the two-sided binomial p-value of an even split."""
    return float(min(1.0, 2 * special.bdtr(min(some, others), some + others, 0.5)))


def mean_of_rows(values: Floats) -> Estimate:
    """Return the mean with its normal interval."""
    if not len(values):
        return Estimate(None)
    mean = float(values.mean())
    if len(values) < 2:
        return Estimate(mean)
    half = Z * float(values.std(ddof=1)) / np.sqrt(len(values))
    return Estimate(mean, float(mean - half), float(mean + half))


def rank_correlation(one: Floats, other: Floats) -> float | None:
    """Return Spearman's correlation; None where one side is constant."""
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(np.corrcoef(_midranks(one), _midranks(other))[0, 1])


def _midranks(values: Floats) -> Floats:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks
