"""skops files: which types one holds that are not listed, or calls while it is read."""

import json
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from core.contract.trusted_types import PLAIN_TYPES
from core.files.older_sklearn import current_name, know_older_names, mend

_CALLING = ("LossNode", "ConstructorFromReduceNode")
"""Nodes that skops reads by calling the named type with arguments of the file's own."""


def foreign_types(file: Path, trusted: Collection[str] = ()) -> list[str]:
    """Return what a file asks for and may not have, sorted; empty for one that can be read.

    It may have what is listed, and what is `trusted` besides. A constructor is only called if it is
    scikit-learn's: XGBoost's and LightGBM's boosters take the name of a file to read.

    Raises:
        Exception: it is no skops file; whatever zipfile, json or skops raise.
    """
    import skops.io

    asked = {name for name in skops.io.get_untrusted_types(file=file) if current_name(name) == name}
    asked -= PLAIN_TYPES
    with zipfile.ZipFile(file) as archive:
        schema = json.loads(archive.read("schema.json"))
    called = {name for name in _called(schema) if not current_name(name).startswith("sklearn.")}
    return sorted((asked | called) - set(trusted))


def load_plain(file: Path) -> Any:
    """Load a file of which `foreign_types` said that it may be read."""
    import skops.io

    know_older_names()
    return mend(skops.io.load(file, trusted=sorted(skops.io.get_untrusted_types(file=file))))


def _called(node: Any) -> Iterator[str]:
    """Yield the names of the types that are called, anywhere in a schema."""
    if isinstance(node, dict):
        if node.get("__loader__") in _CALLING:
            yield f"{node.get('__module__')}.{node.get('__class__')}"
        for value in node.values():
            yield from _called(value)
    elif isinstance(node, list):
        for value in node:
            yield from _called(value)
