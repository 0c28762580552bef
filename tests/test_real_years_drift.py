"""Drift verdicts of the real sample's years, against a version trained on them."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlflow_project.dataset.pairs import YEAR, build_dataset
from mlflow_project.modelling.threshold import ThresholdPolicy
from mlflow_project.modelling.training import ServedFit, fit_for_serving
from mlflow_project.pede import FEATURE_NAMES, read_list, read_workbook
from monitoring.drift.comparison import DriftResult, Status, compare
from monitoring.drift.fitting import fit_baseline
from tests.live import SAMPLE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SAMPLE.exists(), reason="the real sample is not here"),
]


@cache
def trained(sample: Path) -> tuple[pd.DataFrame, ServedFit]:
    """Return the pairs of the sample's three sheets, and a version fitted on them."""
    dataset = build_dataset(read_workbook(sample)[0], None)
    return dataset, fit_for_serving(dataset, ThresholdPolicy(), 0, repeats=1)


def rows_of(year: int) -> pa.Table:
    """Return the children of a year's sheet as the served version would have captured them."""
    frame = pd.DataFrame(read_list(SAMPLE, year).rows)[list(FEATURE_NAMES)].astype("float64")
    frame["score"] = trained(SAMPLE)[1].model.predict_proba(frame)[:, 1]
    return pa.Table.from_pandas(frame, preserve_index=False)


def verdict(year: int, *, pooled: bool = False) -> DriftResult:
    """Return the drift of a year's sheet from the baseline of the newest pair, or of both."""
    dataset, served = trained(SAMPLE)
    chosen = np.ones(len(dataset), bool) if pooled else dataset[YEAR].to_numpy() == 2023
    frame = dataset.loc[chosen, list(FEATURE_NAMES)].astype("float64")
    frame["score"] = served.scores[0][chosen]
    return compare(fit_baseline(pa.Table.from_pandas(frame, preserve_index=False)), rows_of(year))


def test_a_year_that_a_version_was_trained_on_is_not_red() -> None:
    """2023 is not RED against the newest pair, but is against both pooled: 2022 has no IPP."""
    assert verdict(2023).global_status in (Status.GREEN, Status.YELLOW)
    assert verdict(2023, pooled=True).global_status is Status.RED


def test_other_years_differ_and_the_report_says_where() -> None:
    """2022 is RED on IPP, which it lacks; 2024, not a training year, is YELLOW or RED."""
    red = {feature.name for feature in verdict(2022).of_status(Status.RED)}
    assert "ipp" in red
    assert verdict(2024).global_status in (Status.YELLOW, Status.RED)
