"""The training procedure repeated on several splits by student, which a single test cannot cover.

Most students of a test year also have rows in the training years. Here a share of the students is
held out entirely: model and threshold are fitted on the others' older pairs of years and tested on
the newest pair of those held out.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from mlflow_project.dataset.pairs import STUDENT, YEAR
from mlflow_project.modelling.threshold import ThresholdPolicy
from mlflow_project.modelling.training import evaluate_on

SPLITS = 5
FOLDS = 5
"""Folds of the single shuffle that each split's threshold comes from."""
HELD = 0.3
"""Share of the students held out in each split."""
_LESS_IS_BETTER = frozenset({"brier", "ece", "share_flagged"})
SHOWN = ("roc_auc", "f2", "recall", "precision", "brier", "ece", "share_flagged")


def repeated_splits(
    dataset: pd.DataFrame,
    policy: ThresholdPolicy,
    seed: int,
    tick: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Return a row per split: the metrics `SHOWN`, `persistence_f2` and the number of test rows."""
    rows = []
    for split in range(SPLITS):
        train, test = held_out(dataset, np.random.default_rng([seed, split]))
        found = evaluate_on(train, test, policy, seed, repeats=1, folds=FOLDS, tick=tick)
        shown = {name: found.metrics[name] for name in SHOWN}
        rows.append({**shown, "persistence_f2": found.persistence["f2"], "rows": len(found.test)})
    return pd.DataFrame(rows)


def held_out(dataset: pd.DataFrame, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return training rows (most students' older pairs) and test rows (the others' newest pair).

    With a single pair of years, both are of that pair. Students are drawn by order of first row.
    """
    number, names = pd.factorize(dataset[STUDENT])
    held = np.isin(number, rng.permutation(len(names))[: round(HELD * len(names))])
    newest = dataset[YEAR] == dataset[YEAR].max()
    older = ~newest if not newest.all() else newest
    train, test = dataset[older & ~held], dataset[newest & held]
    return train.reset_index(drop=True), test.reset_index(drop=True)


def summary(splits: pd.DataFrame) -> Mapping[str, float]:
    """Return `<metric>_mean`, `<metric>_sd` and `<metric>_worst` over the splits.

    Worst is the minimum, or the maximum where less is better (`_LESS_IS_BETTER`).
    """
    found: dict[str, float] = {}
    for name in splits.columns.drop("rows"):
        values = splits[name]
        found[f"{name}_mean"] = float(values.mean())
        found[f"{name}_sd"] = float(values.std(ddof=1)) if len(values) > 1 else 0.0
        found[f"{name}_worst"] = float(values.max() if name in _LESS_IS_BETTER else values.min())
    return found
