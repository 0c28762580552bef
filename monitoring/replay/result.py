"""Result of a rehearsal: changes by group, refusals, expected performance, cost. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.contract.model import CLASSES, VALUE
from core.messages import _
from core.metrics.expected import ExpectedPerformance, Scores
from core.metrics.expected_classes import ClassScores
from monitoring.drift.expected import Expected, class_names
from monitoring.drift.slices import natural_order
from monitoring.performance.agreement import latest_rows, said_by_both
from monitoring.performance.agreement_of_kinds import AnyAgreement, agree_in_kind
from monitoring.performance.groups import ABSENT, OTHERS
from monitoring.performance.policy import PerformancePolicy
from monitoring.replay.refusals import BETWEEN, Mask

MIN_GROUP_ROWS = PerformancePolicy().min_group_rows
"""A value with fewer rows could identify a person: it is not named."""
MOST_GROUPS = 50
"""Largest number of values that are named, the most frequent ones."""


@dataclass(frozen=True, slots=True)
class GroupChange:
    """Changes within one group; None if it has fewer than `MIN_GROUP_ROWS` rows.

    Attributes:
        name: value of the column.
        n: rows that both versions answered.
        changed: rows whose prediction differs, a value by any amount.
        gained, lost: rows newly flagged and no longer flagged; None without flags.
        before, after: share flagged, or mean predicted value; None for classes.
    """

    name: str
    n: int
    changed: int | None
    gained: int | None = None
    lost: int | None = None
    before: float | None = None
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Two versions on the same captured rows, the latest of each entity.

    Attributes:
        kind: the contract's `output_kind` of both.
        n_instances: rows captured; `n_rows`: the latest of each entity among them.
        agreement: of the rows that both answered; `shadow` in its names is the candidate.
        n_changed: of those, rows whose label, class or number differs.
        refused: rows that the candidate refuses; `reasons`: by field and problem, most frequent
            first.
        groups: by column, then by value.
        before, after: expected performance; None where it cannot be estimated.
        seconds_before, seconds_after: prediction time per row; None for captured predictions.
    """

    kind: str
    n_instances: int
    n_rows: int
    agreement: AnyAgreement
    n_changed: int
    refused: int
    reasons: Mapping[str, int]
    groups: Mapping[str, tuple[GroupChange, ...]]
    before: Expected | None
    after: Expected | None
    seconds_before: float | None
    seconds_after: float | None

    @property
    def n_compared(self) -> int:
        """Return how many rows both versions answered."""
        return self.agreement.n_entities

    @property
    def share_changed(self) -> float | None:
        """Return the share of the compared rows whose prediction differs; None without rows."""
        return self.n_changed / self.n_compared if self.n_compared else None

    def widened(self, before: Mapping[str, float], after: Mapping[str, float]) -> "Rehearsal":
        """Return a copy, its expectations widened by their errors at the last change of period."""
        return replace(self, before=_wider(self.before, before), after=_wider(self.after, after))

    def volumes(self) -> dict[str, float | None]:
        """Return the numbers of rows, those that change, and the seconds per row."""
        return {
            "n_instances": self.n_instances,
            "n_rows": self.n_rows,
            "n_compared": self.n_compared,
            "n_refused": self.refused,
            "n_changed": self.n_changed,
            "share_changed": self.share_changed,
            "seconds_per_row_before": self.seconds_before,
            "seconds_per_row_after": self.seconds_after,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, fit for JSON."""
        return {
            "kind": self.kind,
            **self.volumes(),
            "agreement": asdict(self.agreement),
            "refusals": dict(self.reasons),
            "groups": {name: [asdict(one) for one in each] for name, each in self.groups.items()},
            "expected_before": self.before.to_dict() if self.before else None,
            "expected_after": self.after.to_dict() if self.after else None,
        }


@dataclass(frozen=True, slots=True)
class Names:
    """Class names of both versions, each in its own order; empty without classes."""

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


def measure(
    rows: pa.Table, kind: str, names: Names, groups: Sequence[str], n_instances: int
) -> tuple[Rehearsal, pa.Table, pa.Table]:
    """Measure replayed rows, the latest of each entity; also by groups, the columns `@name`.

    Returns:
        The result, the rows that both versions answered, and those whose prediction changes.
    """
    latest = latest_rows(rows)
    refused, reasons = _refusals(latest)
    compared = said_by_both(latest, kind)
    changed = _changed(compared, kind, names)
    found = Rehearsal(
        kind=kind,
        n_instances=n_instances,
        n_rows=latest.num_rows,
        agreement=agree_in_kind(compared, kind, names.before, names.after),
        n_changed=int(changed.sum()),
        refused=refused,
        reasons=reasons,
        groups={name: _by_group(compared, name, changed, kind) for name in groups},
        before=_expected(compared, kind, "", len(names.before)),
        after=_expected(compared, kind, "shadow_", len(names.after)),
        seconds_before=pc.mean(latest["seconds"]).as_py(),
        seconds_after=pc.mean(latest["shadow_seconds"]).as_py(),
    )
    return found, compared, compared.filter(pa.array(changed))


def answers(rows: pa.Table, kind: str, names: Names) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Return the compared output of each row, of the version before and of the candidate.

    That is the flag, the predicted value, or the class name.
    """
    if kind == VALUE:
        return rows["score"], rows["shadow_score"]
    if kind == CLASSES:
        one, other = rows["label"].combine_chunks(), rows["shadow_label"].combine_chunks()
        return class_names(one, names.before), class_names(other, names.after)
    return rows["label"], rows["shadow_label"]


def _changed(rows: pa.Table, kind: str, names: Names) -> Mask:
    differ: Mask = pc.not_equal(*answers(rows, kind, names)).to_numpy(zero_copy_only=False)
    return differ.astype(np.bool_)


def _refusals(rows: pa.Table) -> tuple[int, dict[str, int]]:
    counted: Counter[str] = Counter()
    texts = rows["refused"].drop_null()
    for one in texts.value_counts().to_pylist():
        for reason in one["values"].split(BETWEEN):
            counted[reason] += one["counts"]
    return len(texts), dict(counted.most_common())


def _by_group(rows: pa.Table, column: str, changed: Mask, kind: str) -> tuple[GroupChange, ...]:
    """Return one group per value; those of few rows or beyond `MOST_GROUPS` are pooled, unnamed."""
    coded = rows[f"@{column}"].combine_chunks().dictionary_encode()
    place = coded.indices.fill_null(len(coded.dictionary)).to_numpy(zero_copy_only=False)
    known = [*coded.dictionary.to_pylist(), _(ABSENT)]
    counts = np.bincount(place, minlength=len(known))
    shown = np.argsort(-counts, kind="stable")[:MOST_GROUPS]
    shown = shown[counts[shown] >= MIN_GROUP_ROWS]
    rare = ~np.isin(place, shown)
    parts = [(known[at], place == at) for at in shown.tolist()]
    parts.sort(key=lambda part: natural_order(part[0]))
    if rare.any():
        parts.append((_(OTHERS), rare))
    return tuple(_part(name, rows, inside, changed, kind) for name, inside in parts)


def _part(name: str, rows: pa.Table, inside: Mask, changed: Mask, kind: str) -> GroupChange:
    n, differ = int(inside.sum()), int((changed & inside).sum())
    if n < MIN_GROUP_ROWS or kind == CLASSES:
        return GroupChange(name, n, differ if n >= MIN_GROUP_ROWS else None)
    said = "score" if kind == VALUE else "label"
    one, other = (rows[of].to_numpy()[inside] for of in (said, f"shadow_{said}"))
    before, after = float(one.mean()), float(other.mean())
    if kind == VALUE:
        return GroupChange(name, n, differ, before=before, after=after)
    gained, lost = int((other > one).sum()), int((one > other).sum())
    return GroupChange(name, n, differ, gained, lost, before, after)


def _expected(rows: pa.Table, kind: str, prefix: str, classes: int) -> Expected | None:
    """Return the performance expected from the scores or class probabilities; None if unknown."""
    if kind == VALUE:
        return None
    label = rows[f"{prefix}label"].to_numpy()
    if kind == CLASSES:
        lists = rows[f"{prefix}probabilities"].combine_chunks()
        if lists.null_count or not len(lists):
            return None
        sums = ClassScores(classes)
        sums.add(lists.flatten().to_numpy().reshape(-1, classes), label)
        return sums.estimate()
    scores = Scores()
    scores.add(rows[f"{prefix}score"].to_numpy(), label)
    return scores.estimate()


def _wider(found: Expected | None, errors: Mapping[str, float]) -> Expected | None:
    return found.widened(errors) if isinstance(found, ExpectedPerformance) else found
