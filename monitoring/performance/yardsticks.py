"""Metrics by kind of output: a score and flags, a predicted value, or classes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from core.contract.model import CLASSES, VALUE
from core.messages import _
from core.metrics import classification, multiclass, regression
from core.metrics.multiclass import two_of
from core.metrics.resampling import Estimate, Floats, wilson
from monitoring.performance.policy import PerformancePolicy

Array = npt.NDArray[Any]
Measured = tuple[Mapping[str, Estimate], Mapping[str, Floats]]
"""Estimates by name, and the bootstrap samples behind them."""


@dataclass(frozen=True, slots=True)
class Yardstick:
    """Metrics and guards of one kind of output.

    Attributes:
        kind: the contract's `output_kind`.
        measure: takes target, score and flag, shape (n,), and the settings of a bootstrap; for
            classes the score may be the probability of each, shape (n, k).
        allowed: guarded metrics and the allowed change of each, negative where more is better, by
            policy and test metrics.
        too_few: reason, other than their number, why the targets allow no verdict, or None.
        shares: metrics that are shares of rows, with intervals that are valid on few rows.
        by_threshold: metrics that depend on the threshold.
        classes: class names in the order of their indexes.
    """

    kind: str
    measure: Callable[..., Measured]
    allowed: Callable[[PerformancePolicy, Mapping[str, float]], Mapping[str, float]]
    too_few: Callable[[Array, PerformancePolicy], str | None]
    shares: Callable[[Array, Array], dict[str, Estimate]]
    by_threshold: frozenset[str] = frozenset()
    classes: tuple[str, ...] = ()


def yardstick_of(kind: str, classes: tuple[str, ...] = ()) -> Yardstick:
    """Return the yardstick of a kind of outputs; `classes` are class names, for `CLASSES`."""
    if kind == VALUE:
        return OF_VALUE
    if kind == CLASSES:
        measure = partial(_measure_classes, len(classes))
        return Yardstick(CLASSES, measure, _class_losses, _enough, _right, classes=classes)
    return OF_SCORE


def _measure_value(target: Array, score: Array, _flag: Array, **settings: Any) -> Measured:
    return regression.estimates(target.astype(np.float64), score, **settings)


def _measure_classes(
    classes: int, target: Array, score: Array, flag: Array, **settings: Any
) -> Measured:
    # Log loss needs the probabilities of every row; without them it is reported as not measured.
    probabilities = score if score.ndim == 2 else two_of(score) if classes == 2 else None
    if probabilities is not None and not np.isfinite(probabilities).all():
        probabilities = None
    return multiclass.estimates(target, flag, classes, probabilities, **settings)


def _score_losses(policy: PerformancePolicy, _test: Mapping[str, float]) -> Mapping[str, float]:
    return {
        "recall": -policy.max_recall_loss,
        "f2": -policy.max_f2_loss,
        "roc_auc": -policy.max_roc_auc_loss,
        "brier": policy.max_brier_gain,
    }


def _value_losses(policy: PerformancePolicy, test: Mapping[str, float]) -> Mapping[str, float]:
    gain = {name: policy.max_error_gain * test[name] for name in ("mae", "rmse") if test.get(name)}
    return {**gain, "r2": -policy.max_r2_loss}


def _class_losses(policy: PerformancePolicy, _test: Mapping[str, float]) -> Mapping[str, float]:
    return {"accuracy": -policy.max_accuracy_loss, "macro_f1": -policy.max_f1_loss}


def _few_of_a_class(target: Array, policy: PerformancePolicy) -> str | None:
    if min(int(target.sum()), len(target) - int(target.sum())) < policy.min_per_class:
        return _("fewer than {n} outcomes of one of the classes", n=policy.min_per_class)
    return None


def _enough(_target: Array, _policy: PerformancePolicy) -> str | None:
    return None


def _flag_shares(target: Array, flag: Array) -> dict[str, Estimate]:
    hit, flagged, positive = int(target @ flag), int(flag.sum()), int(target.sum())
    return {
        "recall": wilson(hit, positive),
        "precision": wilson(hit, flagged),
        "share_flagged": wilson(flagged, len(target)),
        "positive_rate": wilson(positive, len(target)),
        **_right(target, flag),
    }


def _right(target: Array, flag: Array) -> dict[str, Estimate]:
    return {"accuracy": wilson(int((target == flag).sum()), len(target))}


OF_SCORE = Yardstick(
    kind="",
    measure=classification.estimates,
    allowed=_score_losses,
    too_few=_few_of_a_class,
    shares=_flag_shares,
    by_threshold=frozenset(n for n, m in classification.METRICS.items() if m.of_labels),
)
OF_VALUE = Yardstick(VALUE, _measure_value, _value_losses, _enough, lambda *_rows: {})
