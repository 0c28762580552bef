"""Loading of model files that were written by scikit-learn's previous minor releases.

Until 1.8 boosting losses were saved under a top-level module `_loss`, and until 1.7 a
`SimpleImputer` did not store the type that it fills with. Files with any other difference still
fail to load, and the caller reports the release that wrote them.
"""

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from typing import Any

_LOSSES = "sklearn._loss._loss"


def know_older_names() -> None:
    """Register the module of boosting losses as `_loss`, its older name, unless that exists."""
    if "_loss" not in sys.modules and importlib.util.find_spec("_loss") is None:
        sys.modules["_loss"] = importlib.import_module(_LOSSES)


def current_name(name: str) -> str:
    """Return the current qualified name of a type, given its name in an older file."""
    module, _, kind = name.rpartition(".")
    return f"{_LOSSES}.{kind}" if module == "_loss" and kind.startswith("CyHalf") else name


def mend(estimator: Any) -> Any:
    """Add the attributes that this release expects to an older release's estimator; return it."""
    for part in _parts(estimator, set()):
        if type(part).__name__ == "SimpleImputer" and hasattr(part, "_fit_dtype"):
            part.__dict__.setdefault("_fill_dtype", part._fit_dtype)
    return estimator


def _parts(thing: Any, seen: set[int]) -> Iterator[Any]:
    """Yield the objects of scikit-learn within an object, itself included."""
    if id(thing) in seen:
        return
    seen.add(id(thing))
    inner: list[Any] = []
    if isinstance(thing, Mapping):
        inner = list(thing.values())
    elif isinstance(thing, list | tuple):
        inner = list(thing)
    elif type(thing).__module__.startswith("sklearn.") and hasattr(thing, "__dict__"):
        yield thing
        inner = list(vars(thing).values())
    for part in inner:
        yield from _parts(part, seen)


def writer(flavors: Mapping[str, Mapping[str, Any]]) -> tuple[str, str] | None:
    """Return the scikit-learn release that wrote a model and the installed one, if they differ."""
    import sklearn

    wrote = flavors.get("sklearn", {}).get("sklearn_version")
    return None if wrote in (None, sklearn.__version__) else (str(wrote), sklearn.__version__)
