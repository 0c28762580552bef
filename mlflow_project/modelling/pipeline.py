"""The unfitted pipeline, folds grouped by student, and out-of-fold scores.

Every step is scikit-learn's own, so a version ships no code: it loads in `mlflow models serve`, in
a Spark UDF and in the proxy alike. There is one procedure and no selection among model families:
the best on the older pair of years does not predict the best on the next (docs/decisions/0010).
"""

import timeit
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from mlflow_project.dataset.pairs import STUDENT
from mlflow_project.dataset.risk import (
    FEATURE_NAMES,
    IDEAL_PHASE_AGES,
    TARGET,
    YEARS_TO_COUNTING,
)

TRUSTED_TYPES = (
    "numpy.diff",
    "numpy.digitize",
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.utils._bunch.Bunch",
)
"""Types that skops loads only if they are listed as trusted."""

BOOSTING = {
    "max_iter": 120,
    "max_leaf_nodes": 16,
    "learning_rate": 0.05,
    "min_samples_leaf": 8,
    "l2_regularization": 5.0,
    "max_features": 0.3,
    "early_stopping": False,
}
"""Hyperparameters of the boosting that differ from scikit-learn's defaults."""
REPEATS = 2
"""Shuffles of the folds for out-of-fold scores; a single one moves the threshold by points."""
FOLDS = 10
"""Folds of each shuffle. With five, each fit had a fifth less data than the served one and gave
less extreme scores: PSI 0.12 between its scores and the served fit's on new rows, 0.05 with ten."""


def build_pipeline(seed: int) -> Pipeline:
    """Return the unfitted classifier over the float64 columns `FEATURE_NAMES`, NaN for missing.

    The probabilities of a logistic regression and of gradient-boosted trees are averaged. Both take
    next year's lag under each age-counting rule as further inputs. An all-missing column becomes a
    constant, since the boosting rejects one that is all NaN; after the imputer columns are selected
    by position, at half the cost per row of names.
    """
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    trees = HistGradientBoostingClassifier(**BOOSTING, random_state=seed)
    return Pipeline(
        [
            ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
            ("ideal", _next_ideal_phases()),
            ("lag", _next_lags()),
            ("classifier", VotingClassifier([("linear", linear), ("trees", trees)], voting="soft")),
        ]
    )


def _next_ideal_phases() -> ColumnTransformer:
    """Append next year's ideal phase under each rule: the number of age limits reached."""
    ages, column = np.array(IDEAL_PHASE_AGES), [FEATURE_NAMES.index("idade")]
    phases = [
        (rule, FunctionTransformer(np.digitize, kw_args={"bins": ages - years}), column)
        for rule, years in YEARS_TO_COUNTING.items()
    ]
    return ColumnTransformer([("values", "passthrough", list(range(len(FEATURE_NAMES)))), *phases])


def _next_lags() -> ColumnTransformer:
    """Replace next year's ideal phases by their difference from this year's phase."""
    width, phase = len(FEATURE_NAMES), FEATURE_NAMES.index("fase")
    lags = [
        (rule, FunctionTransformer(np.diff), [phase, width + place])
        for place, rule in enumerate(YEARS_TO_COUNTING)
    ]
    return ColumnTransformer([("values", "passthrough", list(range(width))), *lags])


def grouped_folds(
    dataset: pd.DataFrame, folds: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (train, test) row positions; all rows of a student fall in the same fold.

    Students are numbered by first appearance, not by pseudonym: another pseudonym key gives the
    same folds.
    """
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    yield from splitter.split(dataset, dataset[TARGET], pd.factorize(dataset[STUDENT])[0])


def out_of_fold_scores(
    pipeline: Pipeline,
    dataset: pd.DataFrame,
    seed: int,
    repeats: int | None = None,
    folds: int | None = None,
    tick: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """Return out-of-fold scores, by fits without any row of the student; (repeats, n).

    One row of scores per shuffle of the folds, not their mean: the mean of several fits has less
    variance than the single served fit, so threshold and drift baseline would come from another
    distribution. `tick` is called after every fit.
    """
    frame, target = dataset[list(FEATURE_NAMES)], dataset[TARGET]
    scores = np.empty((repeats or REPEATS, len(frame)))
    for repeat, row in enumerate(scores):
        for train, test in grouped_folds(dataset, folds or FOLDS, seed + 1 + repeat):
            pipeline.fit(frame.iloc[train], target.iloc[train])
            row[test] = pipeline.predict_proba(frame.iloc[test])[:, 1]
            tick()
    return scores


def one_row_seconds(model: Any, row: pd.DataFrame) -> float:
    """Return the least time in which a fitted model scored one row, in seconds.

    The minimum of several calls, since other load on the machine only adds time.
    """
    return min(timeit.repeat(lambda: model.predict_proba(row), number=1, repeat=25))
