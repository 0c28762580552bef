"""A shortcut replaces the plain path only after it gave the same results on probe rows."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from serving.model import probes
from serving.model.agreement import agree
from serving.model.arrays import ArrayMethod
from serving.model.compiled import compile_method
from serving.model.inputs import Inputs


def verified_shortcut(method: Callable[[Any], Any], inputs: Inputs) -> ArrayMethod | None:
    """Return `method` as a function of a matrix (n, k); None where that cannot be trusted.

    Args:
        method: an estimator's bound method, which takes what `inputs` makes of rows.
        inputs: makes the plain path's input, and the shortcut's matrix.
    """
    estimator, name = getattr(method, "__self__", None), getattr(method, "__name__", "")
    if estimator is None or not inputs.features:
        return None
    try:
        shortcut = compile_method(estimator, name)
        known = seen_values(estimator, range(len(inputs.features)))
        rows = probes.within(inputs.features, known), probes.beyond(inputs.features, known)
    except Exception:  # whatever fails here, the plain path is right by definition
        return None

    def plain(some: Any) -> Any:
        return method(inputs(some))

    def short(some: Any) -> Any:
        return shortcut(inputs.matrix(some))

    with np.errstate(all="ignore"):
        agreed = _answered(plain, rows[0]) and all(agree(plain, short, some) for some in rows)
    return shortcut if agreed else None


def _answered(plain: Callable[[Any], Any], rows: Sequence[Any]) -> bool:
    """Tell whether the plain path answers anything: else agreement would say nothing."""
    for place in range(len(rows)):
        try:
            plain(rows[place : place + 1])
        except Exception:  # noqa: S112 (the next row may be answered)
            continue
        return True
    return False


def seen_values(part: Any, places: Sequence[int]) -> Mapping[int, Sequence[Any]]:
    """Return by position the values of a column that some encoder in `part` was fitted on.

    Args:
        part: a fitted estimator.
        places: the positions of its input columns among all.
    """
    found: dict[int, Sequence[Any]] = {}
    for inner, columns in _inner(part, places):
        for place, values in seen_values(inner, columns).items():
            found.setdefault(place, values)
    categories = getattr(part, "categories_", None)
    if isinstance(categories, list) and len(categories) == len(places):
        for place, values in zip(places, categories, strict=True):
            plain = [v for v in values.tolist() if v is not None and v == v]
            found.setdefault(place, plain)
    return found


def _inner(part: Any, places: Sequence[int]) -> list[tuple[Any, Sequence[int]]]:
    """Return the estimators inside, with the positions of the columns that each takes."""
    if hasattr(part, "_transformer_to_input_indices"):
        where = part._transformer_to_input_indices
        return [
            (inner, [places[place] for place in where[name]])
            for name, inner, _ in part.transformers_
        ]
    inner = [step for _, step in getattr(part, "steps", ())]
    inner += [step for _, step in getattr(part, "transformer_list", ())]
    inner += list(getattr(part, "estimators_", ()))
    inner += [fit.estimator for fit in getattr(part, "calibrated_classifiers_", ())]
    inner += [part.best_estimator_] if hasattr(part, "best_estimator_") else []
    return [(step, places) for step in inner]
