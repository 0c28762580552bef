"""Training rows: validation, canonical order and digests."""

import hashlib
from collections.abc import Sequence

import pandas as pd

from core.errors import ProjectError
from core.messages import N_, _, formats
from mlflow_project.dataset.leakage import leaks
from mlflow_project.dataset.pairs import DATASET_COLUMNS, STUDENT, YEAR
from mlflow_project.dataset.risk import FEATURE_NAMES, TARGET

MIN_OF_CLASS = 20
"""Least students of each class in a pair of years."""


class TrainingError(ProjectError):
    """The dataset cannot be trained on, or a step of the training failed."""

    code = "training"


def check_dataset(dataset: pd.DataFrame) -> None:
    """Refuse a dataset with a missing column, too few rows of a class, or leaking features.

    Raises:
        TrainingError: names the column, or the class counts, or the leaks.
    """
    missing = [column for column in DATASET_COLUMNS if column not in dataset.columns]
    if missing:
        raise TrainingError(
            N_("The dataset lacks the columns {columns}. Make it with: {command}"),
            columns=", ".join(missing),
            command="python -m mlflow_project.make_dataset --source PEDE.xlsx",
        )
    for year, part in dataset.groupby(YEAR):
        counts = [int((part[TARGET] == value).sum()) for value in (0, 1)]
        if min(counts) < MIN_OF_CLASS:
            raise TrainingError(
                N_(
                    "The pair {year}→{next} has {risk} students at risk and {other} not at risk; "
                    "at least {least} of each are needed."
                ),
                year=year,
                next=int(str(year)) + 1,
                risk=counts[1],
                other=counts[0],
                least=MIN_OF_CLASS,
            )
    found = leaks(dataset, FEATURE_NAMES)
    if found:
        raise TrainingError(
            N_(
                "The dataset knows the future: {leaks}. A feature may only say what is known in "
                "the reference year; correct the workbook."
            ),
            leaks="; ".join(found),
        )


def in_own_order(dataset: pd.DataFrame) -> pd.DataFrame:
    """Return the rows in a canonical order, which depends on their contents alone.

    Folds, fits and sums depend on the order of rows. Sorting by digest makes them independent of
    the workbook's row order and of the pseudonym key. Identical rows are ordered by the other rows
    of their students.
    """
    digests = row_digests(dataset)
    of_student = digests.groupby(dataset[STUDENT]).transform(lambda own: " ".join(sorted(own)))
    order = pd.DataFrame({"row": digests, "student": of_student}).sort_values(["row", "student"])
    return dataset.loc[order.index].reset_index(drop=True)


def absent_features(dataset: pd.DataFrame) -> dict[int, list[str]]:
    """Return for each reference year the features that are null in all its rows."""
    found: dict[int, list[str]] = {}
    for year, part in dataset.groupby(YEAR):
        lacking = [name for name in FEATURE_NAMES if part[name].isna().all()]
        if lacking:
            found[int(str(year))] = lacking
    return found


def absent_text(dataset: pd.DataFrame) -> str:
    """Return a warning about features missing in a whole year; empty if there are none."""
    years = [
        _("{year} has no {features}", year=year, features=formats.joined(lacking))
        for year, lacking in absent_features(dataset).items()
    ]
    return "; ".join(years)


def row_digests(dataset: pd.DataFrame, features: Sequence[str] = FEATURE_NAMES) -> pd.Series:
    """Return 16 hexadecimal digits per row that depend on year, features and target alone.

    They match rows between runs without identifying a student.
    """
    columns = [YEAR, *features, TARGET]
    hashes = pd.util.hash_pandas_object(dataset[columns].astype("float64"), index=False)
    return hashes.map(lambda value: f"{value:016x}")


def data_digest(dataset: pd.DataFrame) -> str:
    """Return 16 hexadecimal digits of the rows, independent of their order and pseudonyms."""
    text = "\n".join(sorted(row_digests(dataset)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
