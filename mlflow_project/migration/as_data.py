"""Store a scikit-learn model as data (skops with known types), and recognise one stored so.

Models from outside are checked here before any part of them is loaded.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import mlflow.sklearn
import skops.io
from mlflow.models import Model

from core.contract.trusted_types import PLAIN_TYPES
from core.files.skops_models import foreign_types
from core.messages import N_, _
from mlflow_project.versions.errors import Refused

EQUAL = 1e-12
"""Largest accepted difference between outputs of the stored model and of the old one."""


def as_data(model: Any, *, keep_pickle: bool = False) -> tuple[Any, str]:
    """Return the model as it will be loaded, and its storage format: `skops` or `cloudpickle`.

    Raises:
        Refused: skops cannot store it as data, and `keep_pickle` is not given.
    """
    try:
        content = skops.io.dumps(model)
        asked = set(skops.io.get_untrusted_types(data=content))
        foreign = sorted(asked - PLAIN_TYPES)
        if not foreign:
            return skops.io.loads(content, trusted=sorted(asked)), "skops"
        reason = _("uses types outside the accepted list: {types}", types=", ".join(foreign))
    except Exception as exc:
        # skops raises many exceptions for what it cannot store (a lambda, a class of a script).
        reason = _("skops does not describe it ({kind})", kind=type(exc).__name__)
    if not keep_pickle:
        text = N_(
            "The model cannot be stored as data: {reason}. Stored as a pickle (--keep-pickle) "
            "the API loads it only with ALLOW_PICKLE=true; training anew is better."
        )
        raise Refused(text, reason=reason)
    return cloudpickle.loads(cloudpickle.dumps(model)), "cloudpickle"


def log_stored(model: Any, kind: str, **options: Any) -> Any:
    """Log a model to the current run in the format of `as_data`; return MLflow's model info."""
    trusted = {"skops_trusted_types": sorted(PLAIN_TYPES)} if kind == "skops" else {}
    return mlflow.sklearn.log_model(
        model, name="model", serialization_format=kind, **trusted, **options
    )


def program_parts(folder: Path) -> list[str]:
    """Return why loading this MLflow model would run code that it contains; empty if it is data.

    Data is scikit-learn saved by skops, of types known to be harmless. The list of types that
    MLflow's own loader trusts comes from the model itself, so it is checked too.

    Raises:
        MlflowException: the folder holds no readable `MLmodel`.
    """
    flavors = Model.load(str(folder)).flavors
    pyfunc, flavor = flavors.get("python_function", {}), flavors.get("sklearn", {})
    found = list(_foreign_loader(pyfunc, flavor))
    return found or list(_foreign_types(folder, flavor))


def _foreign_loader(pyfunc: Mapping[str, Any], flavor: Mapping[str, Any]) -> Iterator[str]:
    if pyfunc.get("code") or flavor.get("code"):
        yield _("brings code of its own (code_paths)")
    if pyfunc.get("loader_module") != "mlflow.sklearn" or pyfunc.get("data"):
        yield _("uses another loader ({loader})", loader=pyfunc.get("loader_module"))
    if flavor.get("serialization_format") != "skops":
        stored = flavor.get("serialization_format") or "pickle"
        yield _("is stored as {kind}, not as skops", kind=stored)
    if pyfunc.get("model_path") != flavor.get("pickled_model"):
        yield _("points to two model files")


def _foreign_types(folder: Path, flavor: Mapping[str, Any]) -> Iterator[str]:
    file = folder / str(flavor.get("pickled_model"))
    if file.parent != folder or not file.is_file():
        yield _("has its model file outside its folder")
        return
    try:
        asked = set(foreign_types(file))
    except Exception as exc:
        # The zip file is untrusted, so reading it may raise any exception.
        yield _("has a model file that cannot be read ({kind})", kind=type(exc).__name__)
        return
    stated = set(flavor.get("skops_trusted_types") or ()) - PLAIN_TYPES
    foreign = sorted(asked | stated)
    if foreign:
        yield _("uses types outside the accepted list: {types}", types=", ".join(foreign))
