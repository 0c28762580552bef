"""Features that raised or lowered an instance's score the most, for any model.

Each feature alone is set to a reference value, that of the contract's example, and the instance is
scored again; the effect is the original score minus the new one (one-at-a-time replacement, the
occlusion of Zeiler and Fergus, 2014, on columns). It measures how this model's score depends on one
input with the others fixed. It is not causal, effects do not add up to the score, and two redundant
inputs may each show none.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from core.contract.model import Feature
from serving.engine.job import Job

MOST = 5
"""Most features named for one instance."""
NEGLIGIBLE = 1e-6
"""Smallest change of the score that is reported."""
_CALL_ROWS = 1000
"""Approximate number of replaced instances per model call; other threads run between calls."""


def explain(job: Job) -> list[list[dict[str, Any]]]:
    """Return the features of each scored instance with the largest effect, strongest first.

    Raises:
        ScoringFailed: the model raised on a replaced instance.
    """
    features = job.model.version.contract.features
    # The reference is the contract's example, or nulls without one.
    example = job.model.version.contract.example
    values = [example.instance[feature.name] if example else None for feature in features]
    reference = np.array(values, dtype=object)
    size = max(1, _CALL_ROWS // max(1, len(features)))
    found: list[list[dict[str, Any]]] = []
    for start in range(0, len(job.instances.rows), size):
        rows = np.array(job.instances.rows[start : start + size], dtype=object)
        effects = _effects(job, rows, np.array(job.scores[start : start + size], float), reference)
        found += _strongest(effects, features, reference)
    return found


def _effects(job: Job, rows: np.ndarray, scores: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the effect of each value on its row's score, (n, k); 0 where it is the reference's.

    The job's model scores the replaced instances in one call. Rows are (n, k), None for null;
    scores (n,), as answered; reference (k,): a null in it is not used for a feature not nullable.
    """
    nullable = np.array([feature.nullable for feature in job.model.version.contract.features])
    replaceable = nullable | (reference != None)  # noqa: E711 (element by element)
    where, columns = np.nonzero((rows != reference) & replaceable)
    effects = np.zeros(rows.shape)
    if len(where):
        replaced = rows[where]
        replaced[np.arange(len(where)), columns] = reference[columns]
        after = np.array(job.model.version.score(replaced.tolist()), float)
        effects[where, columns] = scores[where] - after
    return effects


def _strongest(
    effects: np.ndarray, features: Sequence[Feature], reference: np.ndarray
) -> Iterator[list[dict[str, Any]]]:
    """Yield the reported features of each row of effects (n, k), strongest first."""
    strength = np.abs(effects)
    order = np.argsort(-strength, axis=1, kind="stable")[:, :MOST]
    counts = (np.take_along_axis(strength, order, axis=1) >= NEGLIGIBLE).sum(axis=1)
    for row, places, count in zip(effects.tolist(), order.tolist(), counts.tolist(), strict=True):
        yield [
            {
                "feature": features[place].name,
                "description": features[place].description,
                "effect": row[place],
                "reference": reference[place],
            }
            for place in places[:count]
        ]
