"""The unfitted pipeline and how it is fitted: calibrated, with folds that never split a student.

Every part is scikit-learn's own, so a version brings no code: it loads in `mlflow models serve`, in
a Spark UDF and in the proxy alike.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

TRUSTED_TYPES = (
    "numpy.diff",
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
)
"""Types in our own pipelines that skops asks to be told of."""

REPEATS = 2
"""Shuffles of the folds that out-of-fold scores come from; one moves a threshold by points."""
FOLDS = 10
"""Folds of each shuffle. With five the fits saw a fifth less than the served one and were less sure
of themselves: PSI 0.12 between their scores and the served fit's on new rows, 0.05 with ten."""


def build_pipeline(features: tuple[str, ...], difference: tuple[str, str], seed: int) -> Pipeline:
    """Return the unfitted classifier over float64 columns `features`, NaN for missing.

    `difference` names two features whose difference (second minus first) becomes a column of its
    own. An all-missing column becomes a constant: scikit-learn's boosting refuses one that is all
    NaN. Columns are found by position after the imputer, which costs half as much per row as
    looking them up by name in a data frame.
    """
    width = len(features)
    positions = [features.index(name) for name in difference]
    boosting = HistGradientBoostingClassifier(
        max_iter=120,
        max_leaf_nodes=6,
        learning_rate=0.05,
        min_samples_leaf=15,
        l2_regularization=5.0,
        max_features=0.4,
        early_stopping=False,
        random_state=seed,
    )
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
            ("boosting", boosting),
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
    pipeline: Pipeline, frame: pd.DataFrame, target: pd.Series, students: pd.Series, seed: int
) -> np.ndarray:
    """Return calibrated scores by fits that saw no row of the student; (REPEATS, n).

    One row of scores per shuffle of the folds, not their mean: a mean of several fits is less
    spread than the single fit that will be served, and its threshold and drift baseline would be
    of another distribution.
    """
    scores = np.empty((REPEATS, len(frame)))
    for repeat in range(REPEATS):
        for train, test in grouped_folds(target, students, folds=FOLDS, seed=seed + 1 + repeat):
            model = fit_calibrated(
                pipeline, frame.iloc[train], target.iloc[train], students.iloc[train], seed
            )
            scores[repeat, test] = model.predict_proba(frame.iloc[test])[:, 1]
    return scores
