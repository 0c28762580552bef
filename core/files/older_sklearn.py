"""Files of scikit-learn's previous minor releases: read where the difference is known.

Until 1.8 the losses of boosting said that they came from a module `_loss` of no package, and until
1.7 a `SimpleImputer` did not keep the type that it fills with. Whatever else differs fails as it
did, and whoever reads the file says which release wrote it.
"""

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from typing import Any

_LOSSES = "sklearn._loss._loss"


def know_older_names() -> None:
    """Let files that were written before find the losses of boosting, unless there is a `_loss`."""
    if "_loss" not in sys.modules and importlib.util.find_spec("_loss") is None:
        sys.modules["_loss"] = importlib.import_module(_LOSSES)


def current_name(name: str) -> str:
    """Return what a type is called now, by the name under which an older file has it."""
    module, _, kind = name.rpartition(".")
    return f"{_LOSSES}.{kind}" if module == "_loss" and kind.startswith("CyHalf") else name


def mend(estimator: Any) -> Any:
    """Add what this release expects in an estimator that an older one fitted; return it."""
    for part in _parts(estimator, set()):
        if type(part).__name__ == "SimpleImputer" and hasattr(part, "_fit_dtype"):
            part.__dict__.setdefault("_fill_dtype", part._fit_dtype)
    return estimator


def _parts(thing: Any, seen: set[int]) -> Iterator[Any]:
    """Yield the estimators of scikit-learn inside something, itself included."""
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
    """Return the release of scikit-learn that wrote a model and the one here, if they differ."""
    import sklearn

    wrote = flavors.get("sklearn", {}).get("sklearn_version")
    return None if wrote in (None, sklearn.__version__) else (str(wrote), sklearn.__version__)
