"""Fitting, twice: once honestly for the test year, once on everything for serving. No MLflow here.

The evaluation fit never sees the newest pair of years; its numbers are the ones reported. The
served fit has seen all rows, so its threshold and drift reference come from out-of-fold scores.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV

from core.metrics.classification import label_metrics, score_metrics
from mlflow_project.dataset.leakage import leaks
from mlflow_project.dataset.risk import DIFFERENCE, FEATURE_NAMES, persistence
from mlflow_project.make_dataset import DATASET_COLUMNS, STUDENT, TARGET, YEAR
from mlflow_project.modelling.families import BOOSTING, Family
from mlflow_project.modelling.pipeline import (
    build_pipeline,
    fit_calibrated,
    grouped_folds,
    out_of_fold_scores,
)
from mlflow_project.modelling.threshold import PolicyUnmetError, ThresholdPolicy


class TrainingError(Exception):
    """The dataset cannot be trained on; the message is for the operator."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the honest fit showed on rows it had not seen.

    `test` holds the test rows of the dataset and `score`; `train_scores` are out-of-fold scores of
    the training rows, with `train_target`, every row once per shuffle of the folds; from them
    `threshold` was chosen by `rule`. `model` is the fit itself, which is never served.
    """

    split: str
    threshold: float
    rule: str
    train_target: np.ndarray
    train_scores: np.ndarray
    test: pd.DataFrame
    metrics: dict[str, float]
    train_metrics: dict[str, float]
    persistence: dict[str, float]
    model: CalibratedClassifierCV


@dataclass(frozen=True, slots=True)
class ServedFit:
    """The model refitted on all rows; `scores` are out-of-fold, (shuffles, rows)."""

    model: CalibratedClassifierCV
    threshold: float
    rule: str
    scores: np.ndarray


def check_dataset(dataset: pd.DataFrame) -> None:
    """Refuse a dataset that lacks a column, is too small or one-sided, or knows the future.

    Raises:
        TrainingError: says which column, or how few rows of which class.
    """
    missing = [column for column in DATASET_COLUMNS if column not in dataset.columns]
    if missing:
        raise TrainingError(
            f"O conjunto de dados não tem as colunas {', '.join(missing)}. "
            "Gere-o com: python -m mlflow_project.make_dataset --source PEDE.xlsx"
        )
    for year, part in dataset.groupby(YEAR):
        counts = [int((part[TARGET] == value).sum()) for value in (0, 1)]
        if min(counts) < 20:
            raise TrainingError(
                f"O par {year}→{int(str(year)) + 1} tem {counts[1]} estudantes em risco e "
                f"{counts[0]} fora; são precisos ao menos 20 de cada."
            )
    found = leaks(dataset, FEATURE_NAMES, TARGET, STUDENT, YEAR)
    if found:
        raise TrainingError(
            "Vazamento do futuro: "
            + "; ".join(found)
            + ". Uma feature só pode dizer o que se sabe no ano de referência; corrija a planilha."
        )


def split_for_test(dataset: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Return training rows, test rows and how they were split.

    The newest pair of years is the test where there are two; else a quarter of the students.
    """
    years = sorted(dataset[YEAR].unique())
    if len(years) > 1:
        newest = years[-1]
        older = dataset[dataset[YEAR] < newest].reset_index(drop=True)
        test = dataset[dataset[YEAR] == newest].reset_index(drop=True)
        return older, test, f"por tempo: teste {newest}→{newest + 1}"
    train, test = next(grouped_folds(dataset[TARGET], dataset[STUDENT], folds=4, seed=seed))
    return (
        dataset.iloc[train].reset_index(drop=True),
        dataset.iloc[test].reset_index(drop=True),
        f"por estudante: um quarto de {years[0]}→{years[0] + 1}",
    )


def evaluate_fit(
    dataset: pd.DataFrame, policy: ThresholdPolicy, seed: int, family: Family = BOOSTING
) -> Evaluation:
    """Fit on the training rows, choose the threshold inside them, test once."""
    train, test, split = split_for_test(dataset, seed)
    served = fit_for_serving(train, policy, seed, family)
    scores = served.model.predict_proba(test[list(FEATURE_NAMES)])[:, 1]
    target = test[TARGET].to_numpy()
    train_target, train_scores = _pooled(train[TARGET], served.scores)
    return Evaluation(
        split=split,
        threshold=served.threshold,
        rule=served.rule,
        train_target=train_target,
        train_scores=train_scores,
        test=test.assign(score=scores),
        metrics=score_metrics(target, scores, served.threshold),
        train_metrics=score_metrics(train_target, train_scores, served.threshold),
        persistence=label_metrics(target, persistence(test)),
        model=served.model,
    )


def fit_for_serving(
    dataset: pd.DataFrame, policy: ThresholdPolicy, seed: int, family: Family = BOOSTING
) -> ServedFit:
    """Fit on every row given; the threshold comes from scores no fit gave to its own rows.

    Raises:
        TrainingError: no threshold satisfies the policy.
    """
    frame, target, students = dataset[list(FEATURE_NAMES)], dataset[TARGET], dataset[STUDENT]
    pipeline = build_pipeline(FEATURE_NAMES, DIFFERENCE, seed, family)
    scores = out_of_fold_scores(pipeline, frame, target, students, seed)
    try:
        threshold, rule = policy.choose(*_pooled(target, scores))
    except PolicyUnmetError as exc:
        raise TrainingError(f"Nenhum limiar atende à política: {exc}.") from exc
    return ServedFit(
        fit_calibrated(pipeline, frame, target, students, seed), threshold, rule, scores
    )


def _pooled(target: pd.Series, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return target and scores of all shuffles, one after the other."""
    return np.tile(target.to_numpy(), len(scores)), scores.ravel()


def row_digests(dataset: pd.DataFrame, features: Sequence[str] = FEATURE_NAMES) -> pd.Series:
    """Return 16 hexadecimal digits per row that depend on year, features and target alone.

    They tell whether two runs speak of the same row without saying whose it is.
    """
    columns = [YEAR, *features, TARGET]
    hashes = pd.util.hash_pandas_object(dataset[columns].astype("float64"), index=False)
    return hashes.map(lambda value: f"{value:016x}")


def data_digest(dataset: pd.DataFrame) -> str:
    """Return 16 hexadecimal digits of the rows, whatever their order and the students' names."""
    text = "\n".join(sorted(row_digests(dataset)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
