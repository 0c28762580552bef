"""The families of models that are tried, and the pipeline that each of them ends.

A family is an estimator with its hyperparameters, chosen beforehand on the older pair of years
(docs/decisions/0006). Every one of them is scikit-learn's own and needs no type beyond those that
the proxy accepts, so whichever is chosen can be served.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of classifier: its name, how one is made from a seed, and what it is, in words.

    `compiled` tells whether the proxy's compiled scoring takes it (a test asks the proxy): it then
    answers a single row hundreds of times faster than one that goes through scikit-learn.
    """

    name: str
    title: str
    compiled: bool
    make: Callable[[int], Any]

    def hyperparameters(self, seed: int) -> str:
        """Return what differs from scikit-learn's defaults as one line of JSON.

        One text under one name, whatever the family, so that two versions compare line by line.
        """
        estimator = self.make(seed)
        last = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
        defaults = type(last)().get_params()
        chosen = {k: v for k, v in last.get_params().items() if v != defaults[k]}
        return json.dumps(chosen, sort_keys=True)


def _linear(seed: int) -> Any:
    return make_pipeline(
        StandardScaler(), LogisticRegression(C=0.1, max_iter=2000, random_state=seed)
    )


def _boosting(leaves: int, rows_a_leaf: int, share_of_features: float) -> Callable[[int], Any]:
    """Return what makes a boosting of trees of so many leaves."""
    return lambda seed: HistGradientBoostingClassifier(
        max_iter=120,
        max_leaf_nodes=leaves,
        learning_rate=0.05,
        min_samples_leaf=rows_a_leaf,
        l2_regularization=5.0,
        max_features=share_of_features,
        early_stopping=False,
        random_state=seed,
    )


def _extra_trees(seed: int) -> Any:
    return ExtraTreesClassifier(
        n_estimators=100, min_samples_leaf=3, max_features=0.5, random_state=seed
    )


LINEAR = Family("linear", "regressão logística", True, _linear)
BOOSTING = Family("boosting", "boosting de árvores rasas", True, _boosting(6, 15, 0.4))
DEEP_BOOSTING = Family("deep_boosting", "boosting de árvores fundas", True, _boosting(16, 8, 0.3))
EXTRA_TREES = Family("extra_trees", "árvores muito aleatórias", False, _extra_trees)

FAMILIES: tuple[Family, ...] = (LINEAR, BOOSTING, DEEP_BOOSTING, EXTRA_TREES)
"""In the order of preference where two predict alike: the cheaper and plainer first."""
