"""The rule by which a family is chosen, and what every family must be able to do."""

import numpy as np
import pandas as pd
import pytest
import skops.io

from core.contract.trusted_types import PLAIN_TYPES
from mlflow_project.dataset.risk import DIFFERENCE, FEATURE_NAMES
from mlflow_project.make_dataset import STUDENT, TARGET
from mlflow_project.modelling.families import BOOSTING, EXTRA_TREES, FAMILIES, LINEAR, Family
from mlflow_project.modelling.pipeline import TRUSTED_TYPES, build_pipeline, fit_calibrated
from mlflow_project.modelling.selection import Trial, choose, select_family
from mlflow_project.pede import FEATURES
from serving.model.scoring import Scorer


def trial(family: Family, losses: np.ndarray) -> Trial:
    """Return a trial with these losses."""
    return Trial(family, {}, losses, row_ms=1.0, seconds=1.0, seed=0)


def test_the_plainest_family_within_one_standard_error_is_taken() -> None:
    """Paired by row: a difference that noise explains buys nothing, one that it does not, does."""
    rng = np.random.default_rng(0)
    base = rng.random(400) * 0.3
    noisy = base - 0.001 + rng.normal(0, 0.1, 400)
    noisy += base.mean() - 0.001 - noisy.mean()
    chosen, reasons = choose([trial(LINEAR, base), trial(BOOSTING, noisy)])
    assert chosen.family is LINEAR
    assert "dentro de um erro padrão" in reasons[0]
    better = base - 0.01 + rng.normal(0, 0.01, 400)
    chosen, reasons = choose([trial(LINEAR, base), trial(BOOSTING, better)])
    assert (chosen.family, reasons) == (BOOSTING, [])


def test_a_family_that_is_slow_to_serve_is_out_and_the_trade_is_told() -> None:
    """However good its scores; unless it is the only one that was tried."""
    good, bad = np.full(100, 0.10), np.full(100, 0.15)
    chosen, reasons = choose([trial(LINEAR, bad), trial(EXTRA_TREES, good)])
    assert chosen.family is LINEAR
    assert "extra_trees ficou de fora pelo custo" in reasons[0] and "-0.0500" in reasons[0]
    assert choose([trial(EXTRA_TREES, good)])[0].family is EXTRA_TREES


def test_families_are_tried_under_the_same_folds(dataset: pd.DataFrame) -> None:
    """The same family twice gives the same losses; each trial is told; a budget cuts the rest."""
    rows = dataset[dataset["reference_year"] == 2022].reset_index(drop=True)
    told: list[Trial] = []
    twice = select_family(rows, 3, [LINEAR, LINEAR], log=told.append)
    assert [t.family.name for t in told] == ["linear", "linear"]
    np.testing.assert_array_equal(twice.trials[0].losses, twice.trials[1].losses)
    assert {"cv_brier", "cv_log_loss", "cv_roc_auc", "cv_pr_auc", "cv_ece"} == set(told[0].metrics)
    assert told[0].row_ms > 0
    cut = select_family(rows, 3, [LINEAR, BOOSTING], budget=0.0)
    assert [f.name for f in cut.untried] == ["boosting"]
    assert cut.chosen.family is LINEAR


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_every_family_can_be_served(
    family: Family, dataset: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Known types alone, missing values taken, and compiled by the proxy where it says so."""
    pipeline = build_pipeline(FEATURE_NAMES, DIFFERENCE, 0, family)
    frame = dataset[list(FEATURE_NAMES)].assign(ipp=np.nan)
    model = fit_calibrated(pipeline, frame, dataset[TARGET], dataset[STUDENT], 0)
    path = tmp_path_factory.mktemp("skops") / "model.skops"
    skops.io.dump(model, path)
    asked = set(skops.io.get_untrusted_types(file=path))
    assert asked <= set(TRUSTED_TYPES) <= PLAIN_TYPES
    loaded = skops.io.load(path, trusted=sorted(asked))
    rows: list[list[float | None]] = [[None] * len(FEATURES)]
    scorer = Scorer(loaded.predict_proba, FEATURES, 1)
    assert (scorer.shortcut is not None) == family.compiled
    np.testing.assert_allclose(
        scorer(rows), model.predict_proba(scorer.frame(rows))[:, 1], atol=1e-12
    )


def test_hyperparameters_are_what_differs_from_the_defaults() -> None:
    """One line of JSON, whatever the family; a Pipeline's is that of its last step."""
    assert '"C": 0.1' in LINEAR.hyperparameters(5)
    assert '"random_state": 5' in BOOSTING.hyperparameters(5)
    assert "verbose" not in BOOSTING.hyperparameters(5)
