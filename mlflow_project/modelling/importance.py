"""Permutation importance of each feature for the evaluation fit, on its test rows."""

from typing import Any

import pandas as pd
from sklearn.inspection import permutation_importance

from core.metrics.classification import roc_auc
from mlflow_project.dataset.risk import FEATURE_NAMES, TARGET
from mlflow_project.modelling.training import Evaluation

SHUFFLES = 5


def _roc_auc(model: Any, rows: pd.DataFrame, target: pd.Series) -> float:
    return roc_auc(target, model.predict_proba(rows)[:, 1])


def importances(evaluation: Evaluation, seed: int) -> pd.DataFrame:
    """Return `feature`, `roc_auc_loss` and `spread` per feature, the largest loss first.

    The ROC-AUC lost on the test rows when a column is shuffled, mean and standard deviation over
    shuffles (Breiman, Random Forests, 2001). Two redundant features both look unimportant, so age,
    phase and lag must be read together.
    """
    found = permutation_importance(
        evaluation.model,
        evaluation.test[list(FEATURE_NAMES)],
        evaluation.test[TARGET],
        scoring=_roc_auc,
        n_repeats=SHUFFLES,
        random_state=seed,
    )
    table = pd.DataFrame(
        {
            "feature": FEATURE_NAMES,
            "roc_auc_loss": found.importances_mean,
            "spread": found.importances_std,
        }
    )
    return table.sort_values("roc_auc_loss", ascending=False, ignore_index=True)
