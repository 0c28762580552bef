"""The evaluation fit, tested on the newest year, and the served fit on all rows. No MLflow here.

The evaluation fit excludes the newest pair of years; its test metrics are the ones reported. The
served fit includes all rows, so its threshold and drift reference come from out-of-fold scores.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from core.metrics.classification import label_metrics, score_metrics
from core.metrics.expected import promised
from mlflow_project.dataset.pairs import YEAR
from mlflow_project.dataset.risk import FEATURE_NAMES, TARGET, persistence
from mlflow_project.modelling.pipeline import build_pipeline, grouped_folds, out_of_fold_scores
from mlflow_project.modelling.threshold import ThresholdPolicy, within_capacity


@dataclass(frozen=True)
class Evaluation:
    """Results of the evaluation fit on test rows that it was not trained on.

    Attributes:
        years: reference years of the training rows and of the test rows; where they are the same,
            the students differ.
        threshold: score from which on a row is flagged, in all metrics.
        train_target, train_scores: out-of-fold scores of the training rows, every row once per
            shuffle of the folds.
        test: the test rows of the dataset, and `score`.
        model: the fit itself, which is never served.
    """

    years: tuple[tuple[int, ...], tuple[int, ...]]
    threshold: float
    train_target: np.ndarray
    train_scores: np.ndarray
    test: pd.DataFrame
    model: Pipeline

    @property
    def by_year(self) -> bool:
        """Return whether test and training rows are of different years."""
        return self.years[0] != self.years[1]

    @property
    def target(self) -> np.ndarray:
        """Return the outcomes of the test rows."""
        return self.test[TARGET].to_numpy()

    @property
    def scores(self) -> np.ndarray:
        """Return the scores of the test rows."""
        return self.test["score"].to_numpy()

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Return the metrics of the test rows."""
        return score_metrics(self.target, self.scores, self.threshold)

    @cached_property
    def train_metrics(self) -> dict[str, float]:
        """Return the out-of-fold metrics of the training rows."""
        return score_metrics(self.train_target, self.train_scores, self.threshold)

    @cached_property
    def persistence(self) -> dict[str, float]:
        """Return the test metrics of persistence ("lagging now, so lagging next year")."""
        return label_metrics(self.target, persistence(self.test))

    def year_change_errors(self) -> dict[str, float]:
        """Return observed − expected value of each metric on a test year; empty without one.

        Expected performance assumes that scores stay calibrated. Its error at the last change of
        year is the least uncertainty to state for it (`core.metrics.expected.promised`).
        """
        if not self.by_year:
            return {}
        said = promised(self.scores, self.scores >= self.threshold)
        return {name: self.metrics[name] - value for name, value in said.items()}


@dataclass(frozen=True, slots=True)
class ServedFit:
    """The model refitted on all rows; `scores` are out-of-fold, (shuffles, rows)."""

    model: Pipeline
    threshold: float
    scores: np.ndarray


def served_threshold(fit: ServedFit, evaluation: Evaluation, share: float) -> float:
    """Return the served threshold: the fit's, raised if it exceeds the capacity in a test year.

    A test within one pair of years is no evidence about another year; its quarter of the students
    would move the threshold by chance alone.
    """
    if not evaluation.by_year:
        return fit.threshold
    return within_capacity(fit.threshold, evaluation.target, evaluation.scores, share)


def split_for_test(dataset: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return training rows and test rows.

    Test rows are the newest of several pairs of years, else those of a quarter of the students.
    """
    tested = (dataset[YEAR] == dataset[YEAR].max()).to_numpy()
    if tested.all():
        _train, places = next(grouped_folds(dataset, folds=4, seed=seed))
        tested = np.isin(np.arange(len(dataset)), places)
    return dataset[~tested].reset_index(drop=True), dataset[tested].reset_index(drop=True)


def evaluate_fit(
    dataset: pd.DataFrame,
    policy: ThresholdPolicy,
    seed: int,
    tick: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Fit and choose the threshold on the training rows, then test once on the others."""
    train, test = split_for_test(dataset, seed)
    return evaluate_on(train, test, policy, seed, tick=tick)


def evaluate_on(
    train: pd.DataFrame,
    test: pd.DataFrame,
    policy: ThresholdPolicy,
    seed: int,
    repeats: int | None = None,
    folds: int | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Fit model and threshold on the training rows, and score the test rows."""
    fitted = fit_for_serving(train, policy, seed, repeats, folds, tick)
    return Evaluation(
        years=(_years(train), _years(test)),
        threshold=fitted.threshold,
        train_target=np.tile(train[TARGET].to_numpy(), len(fitted.scores)),
        train_scores=fitted.scores.ravel(),
        test=test.assign(score=fitted.model.predict_proba(test[list(FEATURE_NAMES)])[:, 1]),
        model=fitted.model,
    )


def fit_for_serving(
    dataset: pd.DataFrame,
    policy: ThresholdPolicy,
    seed: int,
    repeats: int | None = None,
    folds: int | None = None,
    tick: Callable[[], None] = lambda: None,
) -> ServedFit:
    """Fit on all rows given; the threshold is chosen on out-of-fold scores.

    Raises:
        PolicyUnmetError: no threshold satisfies the policy.
    """
    pipeline, target = build_pipeline(seed), dataset[TARGET]
    scores = out_of_fold_scores(pipeline, dataset, seed, repeats, folds, tick)
    threshold = policy.choose(np.tile(target.to_numpy(), len(scores)), scores.ravel())
    return ServedFit(pipeline.fit(dataset[list(FEATURE_NAMES)], target), threshold, scores)


def _years(rows: pd.DataFrame) -> tuple[int, ...]:
    return tuple(sorted(int(year) for year in rows[YEAR].unique()))
