"""Repeated splits by student: disjoint students, and reproducible metrics and summary."""

import numpy as np
import pandas as pd
import pytest

from mlflow_project.dataset.pairs import STUDENT, YEAR
from mlflow_project.modelling import splits
from mlflow_project.modelling.splits import held_out, repeated_splits, summary
from mlflow_project.modelling.threshold import ThresholdPolicy


def test_held_out_students_are_in_no_training_row(dataset: pd.DataFrame) -> None:
    """Test rows are of the newest pair, training rows of older pairs and other students."""
    train, test = held_out(dataset, np.random.default_rng(0))
    assert not set(train[STUDENT]) & set(test[STUDENT])
    assert (set(train[YEAR]), set(test[YEAR])) == ({2022}, {2023})
    assert 0.2 < test[STUDENT].nunique() / dataset[dataset[YEAR] == 2023][STUDENT].nunique() < 0.4
    one = dataset[dataset[YEAR] == 2022].reset_index(drop=True)
    train, test = held_out(one, np.random.default_rng(0))
    assert len(train) + len(test) == len(one)


def test_splits_are_summed_up(dataset: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    """Splits differ and are reproducible; the summary has mean, deviation and worst of metrics."""
    monkeypatch.setattr(splits, "SPLITS", 2)
    monkeypatch.setattr(splits, "FOLDS", 2)
    found = repeated_splits(dataset, ThresholdPolicy(), 3)
    assert found["roc_auc"].nunique() == 2
    pd.testing.assert_frame_equal(found, repeated_splits(dataset, ThresholdPolicy(), 3))
    said = summary(found)
    assert said["roc_auc_worst"] == found["roc_auc"].min()
    assert said["ece_worst"] == found["ece"].max()
    assert said["share_flagged_worst"] == found["share_flagged"].max()
    assert said["f2_mean"] == pytest.approx(found["f2"].mean())
    assert "rows_mean" not in said
