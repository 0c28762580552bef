"""Which features raised or lowered an instance's score the most, for any model.

Each feature alone is set to a reference value, that of the contract's example, and the instance is
scored again; the effect is the score as sent minus the score so changed (one-at-a-time replacement,
the occlusion of Zeiler and Fergus, 2014, on columns). It says how this model's answer hangs on one
input while the others stay. It is no cause in the world, effects do not add up to the score, and of
two inputs that say the same each may show none.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from core.contract.model import Feature
from serving.engine.job import Job

MOST = 5
"""Most features named for one instance."""
NEGLIGIBLE = 1e-6
"""Least change of the score that is worth a name."""
_CALL_ROWS = 1000
"""About how many replaced instances one call of the model takes; others get a turn in between."""


def explain(job: Job) -> list[list[dict[str, Any]]]:
    """Return the features of each scored instance with most effect, the strongest first.

    Raises:
        ScoringFailed: the model raised on a replaced instance.
    """
    features = job.model.version.contract.features
    # What stands for "nothing special": the example's values, null without one.
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
    """Return what each value does to its row's score, (n, k); 0 where it is the reference's.

    The job's model scores the replaced instances in one call. Rows are (n, k), None for null;
    scores (n,), as answered; reference (k,): a null in it replaces no value that must not be null.
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
    """Yield the features of each row of effects (n, k) that are worth a name."""
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
