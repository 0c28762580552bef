"""Model folders that MLflow wrote beside an older scikit-learn, made readable for MLflow here."""

from pathlib import Path

from core.files.older_sklearn import current_name, writer
from core.registry.files import MLMODEL


def trust_older_names(folder: Path) -> None:
    """Let MLflow read a model folder whose skops file has a loss of scikit-learn's under `_loss`.

    MLflow trusts what the folder's `MLmodel` lists, and there was no need to list it then.
    """
    import skops.io
    from mlflow.models import Model

    model = Model.load(str(folder))
    flavor = model.flavors.get("sklearn", {})
    if flavor.get("serialization_format") != "skops" or writer(model.flavors) is None:
        return
    asked = skops.io.get_untrusted_types(file=folder / flavor["pickled_model"])
    older = [name for name in asked if current_name(name) != name]
    if older:
        flavor["skops_trusted_types"] = [*(flavor.get("skops_trusted_types") or ()), *older]
        model.save(str(folder / MLMODEL))
