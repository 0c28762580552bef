"""Is a model folder data, or a program? Asked before anything from outside is loaded."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.contract.trusted_types import PLAIN_TYPES


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
        yield "traz código próprio (code_paths)"
    if pyfunc.get("loader_module") != "mlflow.sklearn" or pyfunc.get("data"):
        yield f"usa outro carregador ({pyfunc.get('loader_module')})"
    if flavor.get("serialization_format") != "skops":
        yield f"está em {flavor.get('serialization_format') or 'pickle'}, não em skops"
    if pyfunc.get("model_path") != flavor.get("pickled_model"):
        yield "aponta para dois arquivos de modelo"


def _foreign_types(folder: Path, flavor: Mapping[str, Any]) -> Iterator[str]:
    import skops.io

    file = folder / str(flavor.get("pickled_model"))
    if file.parent != folder or not file.is_file():
        yield "o arquivo do modelo não está na pasta dele"
        return
    try:
        asked = set(skops.io.get_untrusted_types(file=file))
    except Exception as exc:
        # skops reads a zip file of unknown content: anything may be wrong with it.
        yield f"o arquivo do modelo não pôde ser lido ({type(exc).__name__})"
        return
    foreign = sorted((asked | set(flavor.get("skops_trusted_types") or ())) - PLAIN_TYPES)
    if foreign:
        yield f"usa tipos fora da lista aceita: {', '.join(foreign)}"
