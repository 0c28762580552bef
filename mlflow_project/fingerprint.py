"""What a training depends on, as one digest: the same digest means the same version again."""

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version as installed
from pathlib import Path

PACKAGES = ("mlflow", "scikit-learn", "skops", "pandas", "numpy", "scipy", "joblib")
"""Packages that a fit and its file depend on; a server needs the same ones to load the model."""


def code_digest(package: Path | None = None) -> str:
    """Return 16 hexadecimal digits of the package's source files: their names and contents.

    All of `mlflow_project` counts: what reads, fits, judges and logs decides what a version is.
    """
    root = package or Path(__file__).resolve().parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
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
