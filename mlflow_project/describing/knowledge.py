"""Facts given to `registry describe`, as plain data: from options, rows, a table of features."""

import argparse
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.cli.arguments import say
from core.contract.completed import completed
from core.contract.model import Example, ModelContract
from core.contract.numbers import read_share
from core.contract.types import FEATURE_TYPES
from core.messages import N_
from core.registry.packages import ask, classes_of, load_model, scores_of
from core.registry.versions import Registry, Version
from core.tables.errors import UnreadableTable
from core.tables.reading import Columns, open_table
from mlflow_project.modelling.threshold import trade_off
from mlflow_project.versions.errors import Refused
from mlflow_project.versions.trial import frame_of

_POLICY = re.compile(r"(?:(recall|precision)\s*>=|share\s*<=)\s*([\d.,]+)", re.ASCII)
_CATEGORIES = 100
"""A text column of more distinct values than this gets no list of values."""


def known_of(
    registry: Registry, version: Version, contract: ModelContract, args: argparse.Namespace
) -> dict[str, Any]:
    """Return the facts about a version that the options give.

    Raises:
        Refused: a file, a class or a policy is invalid.
    """
    given = {
        "entity": args.entity,
        "period_field": args.period_field,
        "target": args.target_description,
        "threshold": args.threshold,
    }
    known: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if args.positive_class is not None:
        known["positive_class"] = _class_index(load_model(registry, version), args.positive_class)
    if args.threshold_policy:
        positive = int(known.get("positive_class", contract.positive_class))
        known |= _chosen(load_model(registry, version), contract, positive, args)
    features: dict[str, dict[str, Any]] = {}
    usual = dict(contract.example.instance) if contract.example else {}
    if args.ranges_from:
        table = _table(args.ranges_from, contract)
        features, usual = _ranges(contract, table), _usual(contract, table)
    for name, unit in args.units or ():
        features.setdefault(name, {})["unit"] = unit
    if args.descriptions:
        for name, facts in _listed(args.descriptions).items():
            features.setdefault(name, {}).update(facts)
    if features:
        known["features"] = features
    if usual and (args.ranges_from or "positive_class" in known):
        known |= _example(registry, version, completed(contract, known), usual)
    return known


def _example(
    registry: Registry, version: Version, contract: ModelContract, usual: dict[str, Any]
) -> dict[str, Any]:
    """Return typical values as the contract's example, with the model's score of them.

    Empty if the version has no score yet.
    """
    if contract.outputs:
        return {}
    frame = frame_of(contract, Example(usual, 0.0))
    score = float(scores_of(ask(load_model(registry, version), frame), contract)[0])
    return {"example": {"instance": usual, "score": score}}


def _usual(contract: ModelContract, table: pd.DataFrame) -> dict[str, Any]:
    """Return a typical value of each feature; empty if one has no values.

    That is the lower median of numbers, else the most frequent value. Together they need not occur
    in any row.
    """
    usual: dict[str, Any] = {}
    for feature in contract.features:
        column = table[feature.name].dropna() if feature.name in table else pd.Series(dtype=float)
        if column.empty:
            return {}
        read = FEATURE_TYPES[feature.type].python
        if feature.type in ("double", "long"):
            usual[feature.name] = read(column.quantile(0.5, interpolation="lower"))
        elif feature.type == "datetime":
            usual[feature.name] = pd.Timestamp(column.mode().iloc[0]).isoformat()
        else:
            usual[feature.name] = read(column.mode().iloc[0])
    return usual


def _class_index(model: Any, wanted: str) -> int:
    """Return the position of a class among the model's outputs, by its name."""
    classes = classes_of(model)
    if wanted in classes:
        return classes.index(wanted)
    if not classes and wanted.isascii() and wanted.isdecimal():
        return int(wanted)
    text = N_("The model has no class {wanted}; it has: {known}.")
    raise Refused(text, wanted=wanted, known=", ".join(classes) or "–")


def _chosen(
    model: Any, contract: ModelContract, positive: int, args: argparse.Namespace
) -> dict[str, Any]:
    """Return the threshold that a policy chooses on data with known outcomes, and the policy."""
    if args.data is None or args.target is None:
        raise Refused(N_("A threshold policy needs --data and --target."))
    table = _table(args.data, contract, args.target)
    if args.target not in table:
        raise Refused(N_("{path} has no column {name}."), path=args.data, name=args.target)
    missing = sorted(set(contract.feature_names) - set(table))
    if missing:
        raise Refused(N_("{path} has no column {name}."), path=args.data, name=missing[0])
    output = ask(model, table[list(contract.feature_names)])
    scores = scores_of(output, replace(contract, positive_class=positive))
    outcomes = table[args.target].to_numpy()
    classes = list(getattr(model.get_raw_model(), "classes_", ()))
    positives = outcomes == (classes[positive] if classes else _positive_value(outcomes))
    threshold = choose_threshold(args.threshold_policy, scores, positives)
    rule = {"rule": args.threshold_policy, "rows": len(scores)}
    return {"threshold": threshold, "threshold_policy": rule}


def _positive_value(outcomes: np.ndarray) -> Any:
    """Return the positive one of two outcome values: the greater, as in scikit-learn."""
    values = sorted(set(outcomes.tolist()))
    if len(values) != 2:
        raise Refused(N_("The target has {count} values, not two."), count=len(values))
    return values[1]


def choose_threshold(policy: str, scores: np.ndarray, positives: np.ndarray) -> float:
    """Return the score from which on to flag, by a policy such as `recall>=0.85`.

    `recall>=x` takes the highest threshold that fulfils it, `precision>=x` and `share<=x` the
    lowest.

    Args:
        policy: metric, comparison and limit.
        scores: shape (n,).
        positives: whether each outcome was positive, shape (n,).

    Raises:
        Refused: the policy is malformed, no outcome is positive, or no threshold fulfils it.
    """
    found = _POLICY.fullmatch(policy.strip())
    if not found or not positives.any():
        text = N_("{text!r} is no policy; for example recall>=0.85, precision>=0.7, share<=0.3.")
        raise Refused(text, text=policy)
    metric, limit = found[1], read_share(found[2])
    curve = trade_off(positives, scores)
    fulfilled = curve[metric] >= limit if metric else curve["share_flagged"] <= limit
    # A missing score is no threshold.
    fits = curve["threshold"][fulfilled & ~np.isnan(curve["threshold"])]
    best = max(fits, default=np.nan) if metric == "recall" else min(fits, default=np.nan)
    if not 0.0 <= best <= 1.0:
        raise Refused(N_("No threshold fulfils {policy} on these rows."), policy=policy)
    return float(best)


def _ranges(contract: ModelContract, table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Return minimum and maximum of each numeric feature, and the distinct values of a text."""
    ranges: dict[str, dict[str, Any]] = {}
    for feature in contract.features:
        if feature.name not in table:
            continue
        column = table[feature.name].dropna()
        if feature.type in ("double", "long") and len(column):
            ranges[feature.name] = {"min": float(column.min()), "max": float(column.max())}
        elif feature.type == "string" and 0 < column.nunique() <= _CATEGORIES:
            ranges[feature.name] = {"values": sorted(map(str, column.unique()))}
    return ranges


def _listed(path: Path) -> dict[str, dict[str, Any]]:
    """Read facts of features from a table: name, description, unit, min, max."""
    columns = _cells(path, {"min": "double", "max": "double"})
    if "name" not in columns or _no_number(columns, ("min", "max")):
        wanted = "name, description, unit, min, max"
        raise Refused(N_("{path} is no CSV of: {wanted}."), path=path, wanted=wanted)
    facts = [name for name in ("description", "unit", "min", "max") if name in columns]
    return {
        str(name): {fact: columns[fact][row] for fact in facts if columns[fact][row] is not None}
        for row, name in enumerate(columns["name"])
    }


def _table(path: Path, contract: ModelContract, target: str | None = None) -> pd.DataFrame:
    """Return a table, features in their types and the target as a number where it is one.

    Raises:
        Refused: it cannot be read, or a feature's cell is no number; names row and column.
    """
    types: dict[str, str] = {feature.name: feature.type for feature in contract.features}
    columns = _cells(path, {**types, **({target: "double"} if target else {})})
    numeric = [name for name, kind in types.items() if kind in ("double", "long")]
    if wrong := _no_number(columns, numeric):
        name, row = wrong
        text = N_("{path}, row {row}: {name} is no number.")
        raise Refused(text, path=path, row=row, name=name)
    return pd.DataFrame(columns)


def _no_number(columns: Columns, names: Iterable[str]) -> tuple[str, int] | None:
    """Return column and row (from 1) of the first text among cells that should be numbers."""
    return next(
        (
            (name, row)
            for name in names
            for row, cell in enumerate(columns.get(name, ()), start=1)
            if isinstance(cell, str)
        ),
        None,
    )


def _cells(path: Path, types: Mapping[str, str]) -> Columns:
    try:
        table = open_table(path)
        say(table.taken_for)
        return table.columns(types)
    except UnreadableTable as exc:
        raise Refused(reason=str(exc)) from exc
