"""Verified shortcuts: one replaces the plain path only if both agree on the probe rows."""

import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.contract.model import Feature
from serving.compiled.agreement import Method, agree, raises
from serving.compiled.arrays import ArrayMethod, Undecided
from serving.compiled.estimators import compile_method
from serving.model import probes
from serving.model.inputs import Inputs

TIMED_ROWS = 64
_TIMES = 3


def verified_shortcut(method: Method, inputs: Inputs) -> tuple[ArrayMethod | None, float]:
    """Return an estimator's bound method as a function of `inputs.matrix` (n, k), and its time.

    The time is in seconds, for `TIMED_ROWS` rows; None and inf where no shortcut agrees.
    """
    estimator, name = getattr(method, "__self__", None), getattr(method, "__name__", "")
    if estimator is None or not inputs.features:
        return None, math.inf
    # On any failure here, the plain path remains, which is correct by definition.
    with contextlib.suppress(Exception), np.errstate(all="ignore"):
        shortcut = compile_method(estimator, name)
        known = seen_values(estimator, range(len(inputs.features)))
        usual = probes.usual(inputs.features, known)

        def plain(rows: Any) -> Any:
            return method(inputs(rows))

        def short(rows: Any) -> Any:
            return shortcut(inputs.matrix(rows))

        plain(usual)
        if _agree(plain, short, inputs.features, usual):
            return shortcut, _seconds(short, usual[:TIMED_ROWS])
    return None, math.inf


def _seconds(method: Method, rows: probes.Batch) -> float:
    """Return the shortest time of a few calls, in seconds."""
    times = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        with contextlib.suppress(Undecided):
            method(rows)
        times.append(time.perf_counter() - began)
    return min(times)


def _agree(plain: Method, short: Method, features: Sequence[Feature], usual: probes.Batch) -> bool:
    """Compare usual rows, unusual ones, and nulls: per column, then together where accepted."""
    nullable = [place for place, feature in enumerate(features) if feature.nullable]
    nulls = {place: probes.one_null(usual, place) for place in nullable}
    batches = [usual, *probes.odd(features, usual), *nulls.values()]
    if not all(agree(plain, short, batch) for batch in batches):
        return False
    answered = [place for place, rows in nulls.items() if not raises(plain, rows)]
    return not answered or agree(plain, short, probes.with_nulls(usual, answered))


def seen_values(part: Any, places: Sequence[int]) -> Mapping[int, Sequence[Any]]:
    """Return the values that encoders in `part` were fitted on, by the position of the column.

    `places` are the positions of the part's input columns among all.
    """
    found: dict[int, Sequence[Any]] = {}
    for inner, columns in _inner(part, places):
        for place, values in seen_values(inner, columns).items():
            found.setdefault(place, values)
    categories = getattr(part, "categories_", None)
    if isinstance(categories, list) and len(categories) == len(places):
        for place, values in zip(places, categories, strict=True):
            found.setdefault(place, [v for v in values.tolist() if v is not None and v == v])
    return found


def _inner(part: Any, places: Sequence[int]) -> list[tuple[Any, Sequence[int]]]:
    """Return the nested estimators, with the positions of the columns that each takes."""
    if hasattr(part, "_transformer_to_input_indices"):
        # Columns that an earlier step appended are not in the request.
        where = part._transformer_to_input_indices
        return [
            (inner, [places[place] for place in where[name] if place < len(places)])
            for name, inner, _ in part.transformers_
        ]
    inner = [step for _, step in getattr(part, "steps", ())]
    inner += [step for _, step in getattr(part, "transformer_list", ())]
    inner += list(getattr(part, "estimators_", ()))
    inner += [fit.estimator for fit in getattr(part, "calibrated_classifiers_", ())]
    inner += [part.best_estimator_] if hasattr(part, "best_estimator_") else []
    return [(step, places) for step in inner]
