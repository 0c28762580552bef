"""Columns that know the future are refused: by the year they come from, and by how much they know.

A name proves nothing, so the values are looked at. A column of year t is from the future when it
says of a student what the sheet of t+1 says, or when it alone tells who will lag next year better
than anything that could be measured in year t.
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
"""Cross-validated ROC-AUC that no single honest column reaches: the best of the real workbook, this
year's lag or age, stays near 0.75, and a whole model near 0.90."""
MAX_AGREEMENT = 0.95
"""Share of a student's pairs of years in which a column may equal the next year's sheet."""
MIN_PAIRS = 30
"""Students seen in two consecutive years from which on equality with the next year is judged."""


def leaks(dataset: pd.DataFrame, features: Sequence[str]) -> list[str]:
    """Return what is wrong with which feature, in words; empty where nothing is.

    Args:
        dataset: one row per student and reference year t, the outcome (0/1) being of t+1.
        features: columns that should be known in year t.
    """
    return [
        *_by_year_named(dataset, features),
        *_by_year_of_values(dataset, features),
        *_by_future(dataset, features),
    ]


def _by_year_named(dataset: pd.DataFrame, features: Sequence[str]) -> Iterator[str]:
    """A name that states a year later than the earliest t is of no year t."""
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

    A column that hardly changes from one year to the next (equal to its own of t) is no leak: what
    it equals of t+1 must not be known in t already.
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
    """Ask of each column, year by year pooled, how well it alone tells the next year's outcome."""
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

    A tree finds a leak in either direction and one that is not monotonic; that a value is missing
    may leak as well.
    """
    tree = DecisionTreeClassifier(max_depth=3, min_samples_leaf=10, random_state=0)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    scores = cross_val_predict(tree, values, target, cv=folds, method="predict_proba")[:, 1]
    return roc_auc(target, scores)
