"""The unfitted pipeline and how it is fitted: calibrated, with folds that never split a student.

Every part is scikit-learn's own, so a version brings no code: it loads in `mlflow models serve`, in
a Spark UDF and in the proxy alike.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from mlflow_project.modelling.families import BOOSTING, Family

TRUSTED_TYPES = (
    "numpy.diff",
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
)
"""Types that skops asks to be told of, in a model of any family."""

REPEATS = 2
"""Shuffles of the folds that out-of-fold scores come from; one moves a threshold by points."""
FOLDS = 10
"""Folds of each shuffle. With five the fits saw a fifth less than the served one and were less sure
of themselves: PSI 0.12 between their scores and the served fit's on new rows, 0.05 with ten."""


def build_pipeline(
    features: tuple[str, ...], difference: tuple[str, str], seed: int, family: Family = BOOSTING
) -> Pipeline:
    """Return the unfitted classifier over float64 columns `features`, NaN for missing.

    `difference` names two features whose difference (second minus first) becomes a column of its
    own. An all-missing column becomes a constant: scikit-learn's boosting refuses one that is all
    NaN. Columns are found by position after the imputer, which costs half as much per row as
    looking them up by name in a data frame.
    """
    width = len(features)
    positions = [features.index(name) for name in difference]
    return Pipeline(
        [
            ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
            (
                "difference",
                ColumnTransformer(
                    [
                        ("values", "passthrough", list(range(width))),
                        ("difference", FunctionTransformer(np.diff), positions),
                    ]
                ),
            ),
            ("classifier", family.make(seed)),
        ]
    )


def grouped_folds(
    target: pd.Series, students: pd.Series, folds: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (train, test) row positions; all rows of a student fall in the same fold."""
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    yield from splitter.split(np.zeros(len(target)), target, students)


def fit_calibrated(
    pipeline: Pipeline, frame: pd.DataFrame, target: pd.Series, students: pd.Series, seed: int
) -> CalibratedClassifierCV:
    """Fit one pipeline on all rows, and Platt's sigmoid on its out-of-fold decision values.

    One model is served, so one row costs one pass (Platt 1999; scikit-learn's `ensemble=False`).
    """
    folds = list(grouped_folds(target, students, folds=5, seed=seed))
    model = CalibratedClassifierCV(pipeline, method="sigmoid", cv=folds, ensemble=False)
    model.fit(frame, target)
    return model.set_params(cv=None)  # the folds' row numbers are no part of a served model


def out_of_fold_scores(
    pipeline: Pipeline,
    frame: pd.DataFrame,
    target: pd.Series,
    students: pd.Series,
    seed: int,
    repeats: int | None = None,
    folds: int | None = None,
    tick: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """Return calibrated scores by fits that saw no row of the student; (repeats, n).

    One row of scores per shuffle of the folds, not their mean: a mean of several fits is less
    spread than the single fit that will be served, and its threshold and drift baseline would be
    of another distribution. The sigmoid of a fold is fitted on the decision values that the other
    folds' rows got, so a shuffle costs one fit per fold. `tick` is called after every fit.
    """
    scores = np.empty((repeats or REPEATS, len(frame)))
    for repeat in range(len(scores)):
        cuts = list(grouped_folds(target, students, folds or FOLDS, seed=seed + 1 + repeat))
        decisions = np.empty((len(frame), 1))
        for train, test in cuts:
            pipeline.fit(frame.iloc[train], target.iloc[train])
            decisions[test, 0] = decision_values(pipeline, frame.iloc[test])
            tick()
        for train, test in cuts:
            sigmoid = LogisticRegression(C=1e6).fit(decisions[train], target.iloc[train])
            scores[repeat, test] = sigmoid.predict_proba(decisions[test])[:, 1]
    return scores


def decision_values(model: Any, frame: pd.DataFrame) -> np.ndarray:
    """Return what calibration starts from: decision values, or probabilities where there are none.

    The same choice that `CalibratedClassifierCV` makes; (n,).
    """
    if hasattr(model, "decision_function"):
        return np.asarray(model.decision_function(frame))
    return np.asarray(model.predict_proba(frame))[:, 1]


def one_row_seconds(model: Any, row: pd.DataFrame, calls: int = 25) -> float:
    """Return the least time that a fitted model took to score one row, in seconds.

    The least of several calls counts: other load on the machine only ever adds to a time.
    """
    spent = []
    for _ in range(calls):
        begun = time.perf_counter()
        model.predict_proba(row)
        spent.append(time.perf_counter() - begun)
    return min(spent)
