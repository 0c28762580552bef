"""Digest of all that a training depends on; the same digest gives the same version again."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version as installed
from pathlib import Path

PACKAGES = ("mlflow", "scikit-learn", "skops", "pandas", "numpy", "scipy", "joblib")
"""Packages that a fit and its file depend on; a server needs the same ones to load the model."""

ROOMS = (
    "core/contract",
    "core/metrics",
    "mlflow_project/pede",
    "mlflow_project/dataset",
    "mlflow_project/modelling",
)
"""Folders whose code determines the result of a training. Others only move, show or store it: a
change there makes no new version."""
_ROOT = Path(__file__).resolve().parents[2]


def code_digest(root: Path = _ROOT, rooms: Sequence[str] = ROOMS) -> str:
    """Return 16 hexadecimal digits of the rooms' source files: their paths and contents."""
    digest = hashlib.sha256()
    for path in sorted(path for room in rooms for path in (root / room).rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def training_digest(data_digest: str, parameters: Mapping[str, object]) -> str:
    """Return 16 hexadecimal digits of data, parameters, code and installed packages."""
    facts = {
        "data": data_digest,
        "parameters": {name: str(value) for name, value in parameters.items()},
        "code": code_digest(),
        "packages": {name: installed(name) for name in PACKAGES},
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
