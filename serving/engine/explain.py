"""Which features raised or lowered an instance's score the most, for any model.

Each feature alone is set to a reference value, that of the contract's example, and the instance is
scored again; the effect is the score as sent minus the score so changed (one-at-a-time replacement,
the occlusion of Zeiler and Fergus, 2014, on columns). It says how this model's answer hangs on one
input while the others stay. It is no cause in the world, effects do not add up to the score, and of
two inputs that say the same each may show none.
"""

from collections.abc import Sequence
from typing import Any

from serving.engine.job import Job

MOST = 5
"""Most features named for one instance."""
NEGLIGIBLE = 1e-6
"""Least change of the score that is worth a name."""


def explain(job: Job) -> list[list[dict[str, Any]]]:
    """Return the features of each scored instance with most effect, the strongest first.

    All replacements are scored in one call of the model.

    Raises:
        ScoringFailed: the model raised on a replaced instance.
    """
    features = job.model.version.contract.features
    reference = reference_row(job)
    rows, places = [], []
    for number, row in enumerate(job.instances.rows):
        for position, value in enumerate(row):
            if value != reference[position] and (
                reference[position] is not None or features[position].nullable
            ):
                rows.append([*row[:position], reference[position], *row[position + 1 :]])
                places.append((number, position))
    replaced = job.model.version.score(rows) if rows else []
    found: list[list[dict[str, Any]]] = [[] for _ in job.instances.rows]
    for (number, position), score in zip(places, replaced, strict=True):
        effect = (job.scores[number] or 0.0) - (score or 0.0)
        if abs(effect) >= NEGLIGIBLE:
            feature = features[position]
            found[number].append(
                {
                    "feature": feature.name,
                    "description": feature.description,
                    "effect": effect,
                    "reference": reference[position],
                }
            )
    return [sorted(effects, key=_strength)[:MOST] for effects in found]


def reference_row(job: Job) -> Sequence[Any]:
    """Return the values that stand for "nothing special": the example's, null without one."""
    contract = job.model.version.contract
    if contract.example is None:
        return [None] * len(contract.features)
    return [contract.example.instance[name] for name in contract.feature_names]


def _strength(effect: dict[str, Any]) -> float:
    return -abs(effect["effect"])
