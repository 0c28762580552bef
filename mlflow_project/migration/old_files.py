"""The JSON files beside `model.joblib` in the file-based service, read with tolerance.

`model_metadata.json` holds version, threshold and metrics, `model_signature.json` the inputs. Both
were written by hand-made code, so several spellings of each key are known; the error for missing
inputs lists the keys that were tried.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.contract.model import ContractError, Feature
from core.contract.types import FeatureType
from core.files.json_keys import RepeatedKey, each_once
from core.messages import N_, _
from core.messages.system import system_reason
from mlflow_project.versions.errors import Refused

_VERSION = ("model_version", "version", "release")
_THRESHOLD = ("threshold", "decision_threshold", "optimal_threshold", "best_threshold")
_POLICY = ("threshold_policy", "threshold", "metrics")
_IN_POLICY = ("threshold_value", "value", *_THRESHOLD)
_INPUTS = ("input_schema", "inputs", "features", "columns", "schema")
_FEATURES = ("expected_features", "features", "feature_names", "input_features")
_METRICS = ("metrics", "test_metrics", "evaluation")
_TYPES: Mapping[FeatureType, tuple[str, ...]] = {
    "boolean": ("bool",),
    "double": ("int", "long", "float", "double", "num"),
    "string": ("obj", "str", "categ"),
}
"""Prefixes of type names. Whole numbers are `double`: JSON has one number type, and a `double` may
be missing."""
_YEAR = re.compile(r"(.+)_(?:19|20)\d\d")


@dataclass(frozen=True, slots=True)
class OldModel:
    """Contents of the two files.

    `features` are year-free, `columns` maps each to its name in the model file; `release` and
    `threshold` are None if not stated.
    """

    release: str | None
    threshold: float | None
    features: tuple[Feature, ...]
    columns: Mapping[str, str]
    metrics: Mapping[str, float]
    target: str
    score_name: str
    label_name: str


def read_old_files(metadata_path: Path, signature_path: Path) -> OldModel:
    """Read both files.

    Raises:
        Refused: one is no JSON object, or no known key holds the inputs.
    """
    metadata, signature = _object(metadata_path), _object(signature_path)
    listed = _inputs(signature, signature_path) or _named(metadata)
    if not listed:
        text = N_(
            "{signature} does not say the model's inputs. Looked for: {inputs} "
            "(name → type); in {metadata}: {features}."
        )
        known = {"inputs": ", ".join(_INPUTS), "features": ", ".join(_FEATURES)}
        raise Refused(text, signature=signature_path, metadata=metadata_path, **known)
    try:
        features = [_feature(name, facts, signature_path) for name, facts in listed]
        columns = year_free([feature.name for feature in features])
        renamed = [
            replace(feature, name=name) for name, feature in zip(columns, features, strict=True)
        ]
    except ContractError as exc:
        raise Refused("{path}: {reason}", path=signature_path, reason=exc) from exc
    score, label = _outputs(signature)
    return OldModel(
        release=_release(metadata),
        threshold=_threshold(metadata),
        features=tuple(renamed),
        columns=columns,
        metrics=_metrics(metadata),
        target=str(metadata.get("target_definition") or metadata.get("target") or _("not stated")),
        score_name=score,
        label_name=label,
    )


def year_free(names: Iterable[str]) -> dict[str, str]:
    """Map each name without its trailing year to the original name.

    A name keeps its year if two names would become one, or if it ends in two years.
    """
    given = list(names)
    bare = [match.group(1) if (match := _YEAR.fullmatch(name)) else name for name in given]
    taken = {name for name in bare if bare.count(name) > 1}
    return {
        (name if short in taken or _YEAR.fullmatch(short) else short): name
        for name, short in zip(given, bare, strict=True)
    }


def _object(path: Path) -> dict[str, Any]:
    try:
        content = _parsed(path.read_bytes(), path)
    except OSError as exc:
        facts = {"path": path, "reason": system_reason(exc)}
        raise Refused(N_("{path} cannot be read: {reason}."), **facts) from exc
    if not isinstance(content, dict):
        raise Refused(N_("{path} should be a JSON object."), path=path)
    return content


def _parsed(text: str | bytes, path: Path) -> Any:
    try:
        return json.loads(text, object_pairs_hook=each_once)
    except RepeatedKey as exc:
        text = N_("{path}: the key {name} stands twice in one object.")
        raise Refused(text, path=path, name=exc.name) from exc
    except json.JSONDecodeError as exc:
        text = N_("{path} is no JSON from line {line}, column {column} on.")
        raise Refused(text, path=path, line=exc.lineno, column=exc.colno) from exc
    except ValueError as exc:  # bytes in no encoding of JSON
        raise Refused(N_("{path} is no JSON."), path=path) from exc


def _inputs(signature: Mapping[str, Any], path: Path) -> list[tuple[str, Any]]:
    """Return (name, facts) from `{name: type}`, `{name: {...}}`, `[{"name": ...}]` or `[name]`."""
    found: Any = next((signature[key] for key in _INPUTS if signature.get(key)), None)
    if isinstance(found, str):  # as MLflow writes a signature: JSON inside JSON
        found = _parsed(found, path)
    if isinstance(found, dict) and isinstance(found.get("properties"), dict):
        found = found["properties"]
    if isinstance(found, dict):
        return list(found.items())
    if isinstance(found, list):
        named = [(e.get("name"), e) if isinstance(e, dict) else (e, "float") for e in found]
        if all(isinstance(name, str) for name, _ in named):
            return [(str(name), facts) for name, facts in named]
        raise Refused(N_("{path}: an input has no name."), path=path)
    return []


def _named(metadata: Mapping[str, Any]) -> list[tuple[str, Any]]:
    found: Sequence[Any] = next((metadata[key] for key in _FEATURES if metadata.get(key)), ())
    return [(str(name), "float") for name in found]


def _feature(name: str, facts: Any, path: Path) -> Feature:
    stated = facts if isinstance(facts, dict) else {"type": facts}
    kind = str(stated.get("type") or stated.get("dtype") or "float").lower()
    known = next((ours for ours, begins in _TYPES.items() if kind.startswith(begins)), None)
    if known is None:
        text = N_("{path}: the input {name} has the type {kind!r}, which is not known.")
        raise Refused(text, path=path, name=name, kind=kind)
    low, high = (_first(stated, keys) for keys in (("min", "minimum"), ("max", "maximum")))
    values = stated.get("values") or stated.get("categories") or stated.get("enum") or ()
    return Feature(
        name,
        known,
        unit=str(stated.get("unit") or ""),
        min=None if low is None else float(low),
        max=None if high is None else float(high),
        nullable=not stated.get("required", False) and bool(stated.get("nullable", True)),
        description=str(stated.get("description") or ""),
        values=tuple(map(str, values)) if known == "string" else (),
    )


def _first(facts: Mapping[str, Any], keys: Sequence[str]) -> Any:
    return next((facts[key] for key in keys if facts.get(key) is not None), None)


def _release(metadata: Mapping[str, Any]) -> str | None:
    match = re.fullmatch(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?", str(_first(metadata, _VERSION) or ""))
    return f"v{match[1]}.{match[2] or 0}.{match[3] or 0}" if match else None


def _threshold(metadata: Mapping[str, Any]) -> float | None:
    places: list[tuple[Mapping[str, Any], Sequence[str]]] = [(metadata, _THRESHOLD)]
    places += [(p, _IN_POLICY) for k in _POLICY if isinstance(p := metadata.get(k), dict)]
    for facts, keys in places:
        for key in keys:
            if _number(facts.get(key)):
                return float(facts[key])
    return None


def _metrics(metadata: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of the first group of metrics, nested ones by a dotted name."""
    group: Mapping[str, Any] = next(
        (metadata[key] for key in _METRICS if isinstance(metadata.get(key), dict)), {}
    )
    flat: dict[str, float] = {}
    for name, value in group.items():
        inner = value if isinstance(value, dict) else {"": value}
        for key, number in inner.items():
            if _number(number):
                flat[f"{name}.{key}".rstrip(".")] = float(number)
    return flat


def _outputs(signature: Mapping[str, Any]) -> tuple[str, str]:
    """Return the names of score and label in the old service's responses, or the defaults."""
    outputs = signature.get("output_schema") or signature.get("outputs") or {}
    names = list(outputs) if isinstance(outputs, dict) else []
    score = next((name for name in names if "score" in name), "risk_score")
    label = next((name for name in names if "label" in name), "risk_label")
    return score, label


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
