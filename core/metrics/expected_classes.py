"""Expected multi-class performance without outcomes, estimated from calibrated probabilities.

The estimate of `core.metrics.expected`, class by class: where the probabilities are calibrated, a
row predicted as class c is correct with the probability p(c) of that class, and adds p(c) to the
expected true positives of c and 1 − p(c) to its false ones (the multi-class case of NannyML's
CBPE). The expected log loss of a row is the entropy of its probabilities.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from core.metrics.expected import CONFIDENCE, MIN_ROWS, foretold
from core.metrics.resampling import Estimate, Floats, Ints, Z


@dataclass(frozen=True, slots=True)
class ExpectedClasses:
    """The performance to expect if the probabilities of the classes are calibrated.

    Attributes:
        n_rows: rows with probabilities on which it is based.
        found: estimates by the names of `core.metrics.multiclass`: `accuracy`, `macro_f1` (without
            an interval), `log_loss`, and `recall.0`, `precision.0` of each class.
    """

    n_rows: int
    found: Mapping[str, Estimate]

    def estimates(self) -> Mapping[str, Estimate]:
        """Return the estimates by metric."""
        return self.found

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, fit for JSON."""
        found = {name: asdict(each) for name, each in self.found.items()}
        about = {"assumption": "calibrated probabilities", "confidence": CONFIDENCE}
        return {**about, "n_rows": self.n_rows, **found}


class ClassScores:
    """Running sums for the estimate of k classes, updated per batch."""

    def __init__(self, classes: int) -> None:
        """Start with no row."""
        # Per class: rows predicted as it; then, over the rows not predicted as it and over those
        # that are, its summed probability and the variance of that sum.
        self._answered = np.zeros(classes)
        self._sums, self._spreads = np.zeros((2, classes)), np.zeros((2, classes))
        # Mean and variance of a row's log loss, summed: −Σ p ln p, and the variance of −ln p.
        self._surprise = np.zeros(2)

    def add(self, probabilities: Floats, answered: Ints) -> None:
        """Add the probabilities of each class, shape (n, k), and predicted classes, shape (n,)."""
        said = np.arange(len(self._answered)) == answered[:, None]
        doubt = probabilities * (1 - probabilities)
        self._answered += said.sum(axis=0)
        for place, rows in enumerate((~said, said)):
            self._sums[place] += (probabilities * rows).sum(axis=0)
            self._spreads[place] += (doubt * rows).sum(axis=0)
        logs = -np.log(np.where(probabilities > 0, probabilities, 1.0))
        entropy = (probabilities * logs).sum(axis=1)
        spread = (probabilities * logs**2).sum(axis=1) - entropy**2
        self._surprise += (entropy.sum(), spread.sum())

    def merge(self, other: "ClassScores") -> None:
        """Add the sums of another instance."""
        self._answered += other._answered
        self._sums += other._sums
        self._spreads += other._spreads
        self._surprise += other._surprise

    def estimate(self) -> ExpectedClasses | None:
        """Return the expected performance of the rows so far.

        None of fewer than `MIN_ROWS`, and where all probabilities of the predicted classes are 0
        or 1: such classes come from a model without probabilities.
        """
        n, spread = float(self._answered.sum()), float(self._spreads[1].sum())
        if n < MIN_ROWS or spread <= 0:
            return None
        hits, whole = self._sums[1], self._answered + self._sums.sum(axis=0)
        f1 = 2 * hits[whole > 0] / whole[whole > 0]
        surprise, its_spread = self._surprise
        found = {
            "accuracy": _mean(float(hits.sum()), spread, n, most=1.0),
            "macro_f1": Estimate(float(f1.mean())),
            "log_loss": _mean(float(surprise), float(its_spread), n),
        }
        for place, answered in enumerate(self._answered):
            of_class = foretold(self._sums[:, place], self._spreads[:, place], answered, n)
            for name in ("recall", "precision"):
                found[f"{name}.{place}"] = of_class[name]
        return ExpectedClasses(int(n), found)


def _mean(total: float, spread: float, n: float, most: float = np.inf) -> Estimate:
    """Return the mean of n independent terms with its normal interval, clipped to [0, `most`]."""
    mean, half = total / n, Z * float(np.sqrt(max(spread, 0.0))) / n
    return Estimate(mean, max(0.0, mean - half), min(most, mean + half))
