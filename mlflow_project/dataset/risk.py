"""The prediction task on PEDE data: lag in year t+1, persistence, and the version's contract."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from core.contract.model import Example, ModelContract
from mlflow_project.pede import EXAMPLE, FEATURES
from mlflow_project.pede import FEATURE_NAMES as FEATURE_NAMES
from mlflow_project.pede.cells import RA

TARGET = "em_risco"
IDEAL_PHASE_AGES = (9, 10, 12, 14, 15, 16, 17, 18)
"""Age from which on the ideal phase is 1, 2, ..., 8, by the programme's table."""
YEARS_TO_COUNTING: Mapping[str, float] = {"year_end": 1.5, "june": 1.0}
"""Possible rules for next year's ideal phase: years from 30 June, the date of `idade`, to the day
on which the rule counts ages. The sheets of 2022 and 2023 used the end of the year or nearly, that
of 2024 about 30 June; next year's rule is not known beforehand."""

SCORE_NAME, LABEL_NAME, ENTITY = "risk_score", "risk_label", "ra"
"""Names of the two outputs, and of the field that identifies the student of a row."""

EXAMPLE_INSTANCE = EXAMPLE


def persistence(frame: pd.DataFrame) -> np.ndarray:
    """Return bool flags (n,) of "lagging now, so lagging next year", every model's baseline."""
    return (frame["defasagem"] < 0).to_numpy()


def build_contract(
    release: str, threshold: float, policy: Mapping[str, Any], score_of_example: float
) -> ModelContract:
    """Return the contract of a version for this prediction task."""
    return ModelContract(
        release=release,
        features=FEATURES,
        target="defasagem < 0 no ano seguinte",
        threshold=threshold,
        threshold_policy=policy,
        score_name=SCORE_NAME,
        label_name=LABEL_NAME,
        positive_class=1,
        entity=ENTITY,
        entity_prefix=RA,
        horizon=1,
        period_field="ano",
        year_suffixes=True,
        example=Example(EXAMPLE_INSTANCE, score_of_example),
    )
