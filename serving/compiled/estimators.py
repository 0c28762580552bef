"""An estimator's method as plain functions on arrays: no frames, no checks repeated at every call.

Known parts of scikit-learn are rewritten as plain arithmetic; any other part falls back to its own
method, with an array in place of a frame. The result is compared with the estimator before it is
used (`serving.model.shortcut`), which rejects a part whose arithmetic a release has changed.
"""

from collections.abc import Callable, Mapping
from typing import Any

from serving.compiled.arrays import ArrayMethod, Compile, ShortcutRefused, asked
from serving.compiled.boosters import BOOSTERS
from serving.compiled.encoders import tabulated
from serving.compiled.ensembles import ENSEMBLES
from serving.compiled.linear import LINEAR
from serving.compiled.numeric import NUMERIC
from serving.compiled.trees import TREES

COMPILERS: Mapping[str, Callable[[Any, str, Compile], ArrayMethod]] = {
    **ENSEMBLES,
    **NUMERIC,
    **LINEAR,
    **TREES,
    **BOOSTERS,
    "OneHotEncoder": tabulated,
    "OrdinalEncoder": tabulated,
    "TargetEncoder": tabulated,
}
"""Compilers by the name of a class of `_MODULES`, or of one of its base classes."""

_MODULES = ("sklearn.", "lightgbm.", "xgboost.", "serving.compiled.")


def compile_method(estimator: Any, name: str) -> ArrayMethod:
    """Return the estimator's method `name` as a function of a matrix (n, k).

    Raises:
        ShortcutRefused: a part of the estimator cannot be compiled.
    """
    own = type(estimator)
    kinds = own.__mro__ if own.__module__.startswith(_MODULES) else ()
    compiler = next((COMPILERS[k.__name__] for k in kinds if k.__name__ in COMPILERS), None)
    try:
        if compiler is None:
            return asked(estimator, name)
        return compiler(estimator, name, compile_method)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as exc:
        raise ShortcutRefused from exc
