"""The pipeline: inputs computed from the age, trusted types, and compilation by the proxy."""

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline

from core.contract.trusted_types import PLAIN_TYPES
from mlflow_project.dataset.risk import FEATURE_NAMES, TARGET
from mlflow_project.modelling.pipeline import TRUSTED_TYPES, build_pipeline
from mlflow_project.pede import FEATURES
from serving.model.inputs import Inputs
from serving.model.scoring import Scorer

WIDTH = len(FEATURE_NAMES)


@pytest.fixture
def fitted(dataset: pd.DataFrame) -> Pipeline:
    """Return the pipeline fitted on all rows."""
    return build_pipeline(0).fit(dataset[list(FEATURE_NAMES)], dataset[TARGET])


@pytest.mark.parametrize(
    ("age", "year_end", "june"),
    # Ages on 30 June 2023: nearly 13.5 if born on 1 January 2010, 12.5 if on 30 December.
    [(13.49, 4, 4), (12.51, 4, 3), (13.0, 4, 4), (7.0, 0, 0), (7.5, 1, 0), (25.0, 8, 8)],
)
def test_next_years_ideal_phase_follows_both_rules(
    fitted: Pipeline, age: float, year_end: int, june: int
) -> None:
    """The added inputs are next year's ideal phase, by its end and by 30 June, less the phase."""
    row = pd.DataFrame([dict.fromkeys(FEATURE_NAMES, 0.0) | {"idade": age, "fase": 1.0}])
    seen = fitted[:-1].transform(row)
    assert seen.shape == (1, WIDTH + 2)
    np.testing.assert_array_equal(seen[0, WIDTH:], [year_end - 1, june - 1])


def test_it_can_be_served(
    fitted: Pipeline, dataset: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It has trusted types alone; the proxy's compiled scorer gives its scores, with nulls too."""
    path = tmp_path_factory.mktemp("skops") / "model.skops"
    skops.io.dump(fitted, path)
    asked = set(skops.io.get_untrusted_types(file=path))
    assert asked <= set(TRUSTED_TYPES) <= PLAIN_TYPES
    loaded = skops.io.load(path, trusted=sorted(asked))
    scorer = Scorer(loaded.predict_proba, Inputs(FEATURES), 1)
    assert scorer.shortcut is not None
    frame = dataset[list(FEATURE_NAMES)].sample(50, random_state=0).astype(object)
    rows = [[None] * WIDTH, *frame.where(frame.notna(), None).to_numpy().tolist()]
    table = pd.DataFrame(rows, columns=list(FEATURE_NAMES), dtype="float64")
    expected = fitted.predict_proba(table)[:, 1]
    np.testing.assert_allclose(scorer(rows), expected, atol=1e-12)
    assert scorer(rows[:1])[0] == pytest.approx(expected[0], abs=1e-12)


def test_a_whole_number_is_an_age_like_any_other(fitted: Pipeline, dataset: pd.DataFrame) -> None:
    """Ages rounded to years, as without a day of birth, cost less than 0.05 of ROC-AUC."""
    rows, target = dataset[list(FEATURE_NAMES)], dataset[TARGET]
    whole = fitted.predict_proba(rows.assign(idade=rows["idade"].round()))[:, 1]
    exact = fitted.predict_proba(rows)[:, 1]
    assert roc_auc_score(target, whole) > roc_auc_score(target, exact) - 0.05
