"""What each feature is worth to the evaluation fit, on rows that it had not seen."""

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
    """Return `feature`, `roc_auc_loss` and `spread` per feature, the weightiest first.

    How much ROC-AUC on the test rows is lost when a column is shuffled, mean and standard deviation
    over shuffles (Breiman, Random Forests, 2001). Of two features that say the same, each looks
    light: age, phase and lag must be read together.
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
