"""Synthetic rows for a model without data: one as its example, many to compare scores."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.contract.model import Feature
from core.messages import N_
from mlflow_project.dataset.risk import EXAMPLE_INSTANCE
from mlflow_project.versions.errors import Refused


def read_example(path: Path, columns: Mapping[str, str]) -> dict[str, Any]:
    """Return the instance in a JSON file; `columns` maps names to the old ones it may use.

    Raises:
        Refused: it is no JSON object, or a feature is not in it.
    """
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
        return {
            name: given[name] if name in given else given[column]
            for name, column in columns.items()
        }
    except (OSError, ValueError, TypeError) as exc:
        raise Refused(N_("{path} is no readable JSON object."), path=path) from exc
    except KeyError as exc:
        raise Refused(N_("{path} does not hold {field}."), path=path, field=str(exc)) from exc


def invent_example(features: Sequence[Feature]) -> dict[str, Any]:
    """Return one synthetic instance within the ranges, never a row of real data.

    Raises:
        Refused: a text feature has no known values.
    """
    return {feature.name: _invented(feature) for feature in features}


def _invented(feature: Feature) -> Any:
    if feature.type == "boolean":
        return False
    if feature.type == "string":
        if not feature.values:
            text = N_(
                "Nobody knows which texts {name} takes; give an invented example with "
                "--example example.json (never a person's data)."
            )
            raise Refused(text, name=feature.name)
        return feature.values[0]
    low, high = feature.min, feature.max
    known = EXAMPLE_INSTANCE.get(feature.name)
    if known is not None and (low is None or low <= known) and (high is None or known <= high):
        return known
    if low is not None and high is not None:
        return (low + high) / 2
    return low if low is not None else high if high is not None else 1.0


def invent_rows(features: Sequence[Feature], example: Mapping[str, Any]) -> pd.DataFrame:
    """Return 256 random rows within the features' ranges, a tenth of nullable numbers missing."""
    rng = np.random.default_rng(0)
    return pd.DataFrame({f.name: _column(f, example[f.name], 256, rng) for f in features})


def _column(feature: Feature, known: Any, rows: int, rng: np.random.Generator) -> np.ndarray:
    if feature.type == "boolean":
        return rng.random(rows) < 0.5
    if feature.type == "string":
        return rng.choice(np.array(feature.values or (known,), dtype=object), rows)
    if feature.type == "datetime":
        return np.full(rows, np.datetime64(known, "ns"))
    around = 0.0 if known is None else 2.0 * known
    low = feature.min if feature.min is not None else min(0.0, around)
    high = feature.max if feature.max is not None else max(10.0, around, low)
    missing = feature.nullable & (rng.random(rows) < 0.1)
    return np.where(missing, np.nan, rng.uniform(low, high, rows))
