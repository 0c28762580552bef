"""Leakage checks: features that hold information of a later year, by name and by value.

A name proves nothing, so values are checked too. A column of year t leaks if it equals a column of
the student's sheet of t+1, or if it alone predicts next year's lag better than anything that could
be measured in year t.
"""

import re
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier

from core.messages import _, formats
from core.metrics.classification import roc_auc
from mlflow_project.dataset.pairs import STUDENT, YEAR
from mlflow_project.dataset.risk import TARGET

MAX_SINGLE_AUC = 0.92
"""Largest cross-validated ROC-AUC of a single column that is accepted: the best of the real
workbook, this year's lag or age, stays near 0.75, and a whole model near 0.90."""
MAX_AGREEMENT = 0.95
"""Largest share of rows in which a column may equal a changed value of the next year's sheet."""
MIN_PAIRS = 30
"""Least rows for a check: students in two consecutive years, changed values, known values."""


def leaks(dataset: pd.DataFrame, features: Sequence[str]) -> list[str]:
    """Return messages about leaking features; empty if there are none.

    Args:
        dataset: one row per student and reference year t, the outcome (0/1) being of t+1.
        features: columns to check, which should be known in year t.
    """
    return [
        *_by_year_named(dataset, features),
        *_by_year_of_values(dataset, features),
        *_by_future(dataset, features),
    ]


def _by_year_named(dataset: pd.DataFrame, features: Sequence[str]) -> Iterator[str]:
    """Check for names that state a year later than the earliest reference year."""
    earliest = int(dataset[YEAR].min())
    for name in features:
        stated = re.search(r"(20\d\d)$", name)
        if stated and int(stated.group(1)) > earliest:
            yield _(
                "{name}: the name says {stated}, and there are rows of {earliest}",
                name=name,
                stated=stated.group(1),
                earliest=earliest,
            )


def _by_year_of_values(dataset: pd.DataFrame, features: Sequence[str]) -> Iterator[str]:
    """Compare each column of t with every column of the same student's row of t+1.

    Rows in which the other column did not change are excluded, since equality is no leak if the
    value was known in t already.
    """
    rows = dataset[[STUDENT, YEAR, *features]]
    later = rows.assign(**{YEAR: rows[YEAR] - 1})
    both = rows.merge(later, on=[STUDENT, YEAR], suffixes=("", "|next"))
    if len(both) < MIN_PAIRS:
        return
    for name in features:
        for other in features:
            now, then = both[other].to_numpy(float), both[f"{other}|next"].to_numpy(float)
            moved = np.isfinite(now) & np.isfinite(then) & (now != then)
            if moved.sum() < MIN_PAIRS:
                continue
            agreement = float(np.mean(both[name].to_numpy(float)[moved] == then[moved]))
            if agreement > MAX_AGREEMENT:
                yield _(
                    "{name}: says in t what {other} says in t+1 ({share} of the rows)",
                    name=name,
                    other=other,
                    share=formats.percent(agreement, 0),
                )


def _by_future(dataset: pd.DataFrame, features: Sequence[str]) -> Iterator[str]:
    """Check how well each column alone predicts the next year's outcome, all years pooled."""
    outcome = dataset[TARGET].to_numpy()
    for name in features:
        values = dataset[[name]].to_numpy(float)
        if np.isfinite(values).sum() < MIN_PAIRS:
            continue
        area = single_column_auc(values, outcome)
        if area > MAX_SINGLE_AUC:
            yield _(
                "{name}: alone predicts the next year with ROC-AUC {area} (at most {most})",
                name=name,
                area=formats.number(area, 2),
                most=formats.number(MAX_SINGLE_AUC, 2),
            )


def single_column_auc(values: np.ndarray, target: np.ndarray) -> float:
    """Return the cross-validated ROC-AUC of a small tree on one column (n, 1) with NaN.

    A tree detects a leak in either direction, a non-monotonic one, and one in whether values are
    missing.
    """
    tree = DecisionTreeClassifier(max_depth=3, min_samples_leaf=10, random_state=0)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    scores = cross_val_predict(tree, values, target, cv=folds, method="predict_proba")[:, 1]
    return roc_auc(target, scores)
