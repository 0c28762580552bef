"""Agreement of two versions that predict values or classes, on the same rows. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from core.contract.model import CLASSES, VALUE, ModelContract
from core.metrics.regression import metrics
from core.metrics.resampling import Estimate, wilson
from monitoring.performance.agreement import (
    Agreement,
    Shift,
    agree,
    latest_rows,
    shift_of,
    two_scores,
)
from monitoring.performance.errors import NotComparableError


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueAgreement(Shift):
    """Differences of two versions' predicted values on the rows that both answered.

    `mae` and `rmse` are their mean absolute and root mean squared difference; `shift` is the bias.
    """

    mae: float | None
    rmse: float | None
    kind: str = VALUE


@dataclass(frozen=True, slots=True)
class ClassAgreement:
    """Classes that two versions predict for the same rows.

    Attributes:
        n_instances, n_entities: as in `Shift`.
        classes: class names of both versions.
        confusion: counts, a row per answered class, a column per class of the shadow.
        share_differ: share of rows whose classes differ, with Wilson's interval (1927).
    """

    n_instances: int
    n_entities: int
    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    share_differ: Estimate
    kind: str = CLASSES

    def disagreements(self, most: int) -> list[tuple[str, str, int]]:
        """Return answered class, shadow's class and number of rows; the `most` frequent ones."""
        found = [
            (answered, other, count)
            for answered, counts in zip(self.classes, self.confusion, strict=True)
            for other, count in zip(self.classes, counts, strict=True)
            if answered != other and count
        ]
        return sorted(found, key=lambda item: (-item[2], item[:2]))[:most]


AnyAgreement = Agreement | ValueAgreement | ClassAgreement


def common_kind(answered: ModelContract, shadow: ModelContract, releases: tuple[str, str]) -> str:
    """Return the kind of both versions' outputs; `releases` names them in an error.

    Raises:
        NotComparableError: they differ, or one of them is unknown.
    """
    unknown = any(c.outputs and not c.output_kind for c in (answered, shadow))
    if unknown or answered.output_kind != shadow.output_kind:
        raise NotComparableError(answered=releases[0], shadow=releases[1])
    return answered.output_kind


def agree_in_kind(
    paired: pa.Table, kind: str, answered: Sequence[str] = (), shadow: Sequence[str] = ()
) -> AnyAgreement:
    """Measure the agreement on paired rows, by the contracts' `output_kind`.

    `answered` and `shadow` are class names, each in its version's order.
    """
    if kind == VALUE:
        return _agree_in_value(paired)
    if kind == CLASSES:
        return _agree_in_class(paired, answered, shadow)
    return agree(paired)


def _agree_in_value(paired: pa.Table) -> ValueAgreement:
    rows = latest_rows(paired)
    found = metrics(*two_scores(rows)) if rows.num_rows else {}
    shift = shift_of(paired, rows)
    return ValueAgreement(**shift, mae=found.get("mae"), rmse=found.get("rmse"))


def _agree_in_class(
    paired: pa.Table, answered: Sequence[str], shadow: Sequence[str]
) -> ClassAgreement:
    classes = tuple(dict.fromkeys([*answered, *shadow]))
    # Class indexes are those of each version's own order.
    ours = np.array([classes.index(name) for name in answered], dtype=np.int64)
    theirs = np.array([classes.index(name) for name in shadow], dtype=np.int64)
    rows, k = latest_rows(paired), len(classes)
    places = ours[rows["label"].to_numpy()] * k + theirs[rows["shadow_label"].to_numpy()]
    confusion = np.bincount(places, minlength=k * k).reshape(k, k)
    n = rows.num_rows
    return ClassAgreement(
        n_instances=paired.num_rows,
        n_entities=n,
        classes=classes,
        confusion=tuple(map(tuple, confusion.tolist())),
        share_differ=wilson(n - int(np.trace(confusion)), n),
    )
