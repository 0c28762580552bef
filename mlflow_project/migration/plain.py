"""Is a model folder data, or a program? Asked before anything from outside is loaded."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.contract.trusted_types import PLAIN_TYPES
from core.files.skops_models import foreign_types
from core.messages import _


def program_parts(folder: Path) -> list[str]:
    """Return why loading this MLflow model would run a program that it brings; empty if it is data.

    Data is scikit-learn saved by skops, of types known to be harmless. The list of types that
    MLflow's own loader trusts comes from the model itself, so it is checked too.

    Raises:
        MlflowException: the folder holds no readable `MLmodel`.
    """
    from mlflow.models import Model

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
        # skops reads a zip file of unknown content: anything may be wrong with it.
        yield _("has a model file that cannot be read ({kind})", kind=type(exc).__name__)
        return
    stated = set(flavor.get("skops_trusted_types") or ()) - PLAIN_TYPES
    foreign = sorted(asked | stated)
    if foreign:
        yield _("uses types outside the accepted list: {types}", types=", ".join(foreign))
