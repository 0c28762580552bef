"""A fitted scikit-learn model as data: written by skops with known types, and read back."""

from typing import Any

from core.contract.trusted_types import PLAIN_TYPES
from core.messages import N_, _
from mlflow_project.versions.errors import Refused

EQUAL = 1e-12
"""How far an answer of the stored model may lie from the old one's."""


def as_data(model: Any, *, keep_pickle: bool = False) -> tuple[Any, str]:
    """Return the model as it will be loaded, and how it is stored: `skops` or `cloudpickle`.

    Raises:
        Refused: skops cannot hold it as data, and `keep_pickle` is not given.
    """
    import cloudpickle  # type: ignore[import-untyped]
    import skops.io

    try:
        content = skops.io.dumps(model)
        asked = set(skops.io.get_untrusted_types(data=content))
        foreign = sorted(asked - PLAIN_TYPES)
        if not foreign:
            return skops.io.loads(content, trusted=sorted(asked)), "skops"
        reason = _("uses types outside the accepted list: {types}", types=", ".join(foreign))
    except Exception as exc:
        # skops refuses what it cannot describe (a lambda, a class of a script) in many ways.
        reason = _("skops does not describe it ({kind})", kind=type(exc).__name__)
    if not keep_pickle:
        text = N_(
            "The model cannot be stored as data: {reason}. Stored as a pickle (--keep-pickle) "
            "the API loads it only with ALLOW_PICKLE=true; training anew is better."
        )
        raise Refused(text, reason=reason)
    return cloudpickle.loads(cloudpickle.dumps(model)), "cloudpickle"


def log_stored(model: Any, kind: str, **options: Any) -> Any:
    """Log a model to the current run, stored as `as_data` says; return MLflow's facts of it."""
    import mlflow.sklearn

    trusted = {"skops_trusted_types": sorted(PLAIN_TYPES)} if kind == "skops" else {}
    return mlflow.sklearn.log_model(
        model, name="model", serialization_format=kind, **trusted, **options
    )
