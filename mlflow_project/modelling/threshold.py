"""Threshold selection: the trade-off curve of all thresholds, and the policy that picks one."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from core.errors import ProjectError
from core.messages import N_
from core.messages.formats import number, percent

CAPACITY = 0.60
"""Largest share of the students that the schools can follow up; used by both threshold selection
and the promotion gate (docs/decisions/0010)."""
BASE_RATE = 0.5
"""Share at risk that the capacity is planned for. It varies between pairs of years (61 %, then
40 %) and next year's is unknown; true and false positive rates vary less."""


class PolicyUnmetError(ProjectError):
    """No threshold satisfies the policy; the message states the best recall within the capacity."""

    code = "threshold_unmet"
    message = N_(
        "No threshold satisfies the policy: with at most {capacity} flagged (in a year with "
        "{base_rate} at risk) the best recall is {recall} (flagging {share}), and the policy wants "
        "at least {floor}; reaching it would flag {needed}."
    )


@dataclass(frozen=True, slots=True)
class ThresholdPolicy:
    """Policy for the threshold of the best F-beta that flags at most `max_share_flagged`.

    The share flagged is that of a year in which `base_rate` (π) of the students are at risk:
    π TPR + (1 − π) FPR. Thresholds with a recall below `floor_recall` are excluded.

    There is no target for recall below what the capacity allows: recall falls between years (0.90
    in cross-validation was 0.77 in the next year), so unused capacity means missed students.
    """

    max_share_flagged: float = CAPACITY
    floor_recall: float = 0.70
    base_rate: float = BASE_RATE
    beta: float = 2.0

    def __post_init__(self) -> None:
        """Raise ValueError for a share outside (0, 1], or a beta that is not positive."""
        for name, value in asdict(self).items():
            if name != "beta" and not 0.0 < value <= 1.0:
                raise ValueError(f"{name} is {value}; it must lie in (0, 1]")
        if not self.beta > 0:
            raise ValueError(f"beta is {self.beta}; it must be positive")

    def choose(self, target: np.ndarray, scores: np.ndarray) -> float:
        """Return the threshold, one of the scores, which must be of rows unseen by the fit.

        Args:
            target: outcomes of 0 and 1, (n,).
            scores: (n,).

        Raises:
            PolicyUnmetError: no threshold within the capacity reaches `floor_recall`.
        """
        curve = trade_off(target, scores, self.beta, self.base_rate)
        allowed = curve["share_planned"] <= self.max_share_flagged
        worth = allowed & (curve["recall"] >= self.floor_recall)
        if not worth.any():
            raise self._unmet(curve, allowed)
        best = np.argmax(np.where(worth, curve["f_beta"], -1.0))
        return float(curve["threshold"][best])

    def _unmet(self, curve: dict[str, np.ndarray], allowed: np.ndarray) -> PolicyUnmetError:
        last = int(np.flatnonzero(allowed)[-1]) if allowed.any() else None
        needed = curve["share_planned"][np.argmax(curve["recall"] >= self.floor_recall)]
        return PolicyUnmetError(
            capacity=percent(self.max_share_flagged, 0),
            base_rate=percent(self.base_rate, 0),
            recall=number(0.0 if last is None else curve["recall"][last], 2),
            share=percent(0.0 if last is None else curve["share_planned"][last], 0),
            floor=number(self.floor_recall, 2),
            needed=percent(needed, 0),
        )


def within_capacity(
    threshold: float, target: np.ndarray, scores: np.ndarray, share: float = CAPACITY
) -> float:
    """Return the threshold, raised until at most `share` of a whole year's scores reach it.

    Scores of the newest year by a fit on older ones are distributed differently from out-of-fold
    scores of all years, so a threshold planned within the capacity may exceed it in that year. If
    more than `share` were at risk, or have the highest score of all, the threshold is not raised: a
    person decides.

    Args:
        threshold: chosen by the policy.
        target: outcomes of 0 and 1 of rows unseen by the fit, (n,).
        scores: of the same rows, (n,).
        share: largest share that may be flagged.
    """
    ranked = np.sort(scores)[::-1]
    most = int(share * len(ranked))
    if target.mean() > share or most >= len(ranked):
        return threshold
    allowed = ranked[ranked > ranked[most]]
    return max(threshold, float(allowed[-1])) if len(allowed) else threshold


def trade_off(
    target: np.ndarray, scores: np.ndarray, beta: float = 2.0, base_rate: float = BASE_RATE
) -> dict[str, np.ndarray]:
    """Return the metrics at each possible threshold, the highest first.

    Arrays of one length by name: `threshold` (the distinct scores, falling), `recall`, `precision`,
    `share_flagged`, `share_planned` (the share flagged if `base_rate` of the rows were positive),
    `f_beta`. F-beta: (1 + beta²) TP / ((1 + beta²) TP + beta² FN + FP), van Rijsbergen 1979.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    hits = np.cumsum(target[order] == 1)[last].astype(float)
    flagged = last + 1.0
    positives = max(int((target == 1).sum()), 1)
    false = (flagged - hits) / max(len(scores) - positives, 1)
    weight = beta * beta
    return {
        "threshold": ranked[last],
        "recall": hits / positives,
        "precision": hits / flagged,
        "share_flagged": flagged / len(scores),
        "share_planned": base_rate * hits / positives + (1 - base_rate) * false,
        "f_beta": (1 + weight) * hits / (weight * positives + flagged),
    }


def thinned(curve: dict[str, np.ndarray], points: int = 100) -> Sequence[dict[str, float]]:
    """Return at most `points` rows of a trade-off curve, its ends included, for a table."""
    size = len(curve["threshold"])
    kept = np.unique(np.linspace(0, size - 1, min(points, size)).round().astype(int))
    return [{name: float(values[i]) for name, values in curve.items()} for i in kept]
