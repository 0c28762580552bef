"""skops files: the types that are not allowed, or that loading would call; and loading."""

import json
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from core.contract.trusted_types import PLAIN_TYPES
from core.files.older_sklearn import current_name, know_older_names, mend

_CALLING = ("LossNode", "ConstructorFromReduceNode")
"""Nodes that skops loads by calling the named type with arguments from the file."""


def foreign_types(file: Path, trusted: Collection[str] = ()) -> list[str]:
    """Return the types of a file that are not allowed, sorted; empty for one that may be loaded.

    Allowed are `PLAIN_TYPES` and those in `trusted`. Calls of constructors are allowed for
    scikit-learn's types only: XGBoost's and LightGBM's boosters accept the name of a file to read.

    Raises:
        Exception: it is not a skops file; whatever zipfile, json or skops raise.
    """
    import skops.io

    asked = {name for name in skops.io.get_untrusted_types(file=file) if current_name(name) == name}
    asked -= PLAIN_TYPES
    with zipfile.ZipFile(file) as archive:
        schema = json.loads(archive.read("schema.json"))
    called = {name for name in _called(schema) if not current_name(name).startswith("sklearn.")}
    return sorted((asked | called) - set(trusted))


def load_plain(file: Path) -> Any:
    """Load a file in which `foreign_types` found none."""
    import skops.io

    know_older_names()
    return mend(skops.io.load(file, trusted=sorted(skops.io.get_untrusted_types(file=file))))


def _called(node: Any) -> Iterator[str]:
    """Yield the names of the types that loading calls, anywhere in a schema."""
    if isinstance(node, dict):
        if node.get("__loader__") in _CALLING:
            yield f"{node.get('__module__')}.{node.get('__class__')}"
        for value in node.values():
            yield from _called(value)
    elif isinstance(node, list):
        for value in node:
            yield from _called(value)
