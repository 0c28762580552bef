"""Versions read from files that MLflow wrote, without a server, as the proxy reads a download."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature

from core.mlflow_client.client import Client
from core.registry.files import Package, open_package
from core.registry.runs import RunFacts
from core.registry.versions import Registry, Version
from serving.config.settings import Settings
from serving.model.loading import LoadedVersion, read_version

VERSION = Version("plain", 7, "v0.0.7", None, None, {}, 0)


def saved(folder: Path, model: Any, frame: pd.DataFrame, **options: Any) -> Path:
    """Save a fitted estimator as a plain script would; return the folder."""
    import skops.io

    if "signature" not in options:
        options["signature"] = infer_signature(frame, model.predict(frame))
    mlflow.sklearn.save_model(
        model,
        folder,
        serialization_format="skops",
        skops_trusted_types=skops.io.get_untrusted_types(data=skops.io.dumps(model)),
        pip_requirements=[],
        **options,
    )
    return folder


def predicting(folder: Path, predict: Callable[[Any], Any], columns: list[str]) -> Path:
    """Save a pyfunc model of another flavour with this `predict`; return the folder."""

    class Model(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def] # noqa: ARG002
            return predict(model_input)

    signature = infer_signature(pd.DataFrame(0.5, index=[0], columns=columns), np.zeros(1))
    mlflow.pyfunc.save_model(folder, python_model=Model(), signature=signature, pip_requirements=[])
    return folder


def opened(folder: Path) -> Package:
    """Return the package of a folder, opened as the registry opens a download."""
    return open_package(Client("http://127.0.0.1:9"), VERSION.number, folder)


def read(folder: Path, inputs: list[Any] | None = None, **settings: Any) -> LoadedVersion:
    """Return the version in a folder, with another input schema if one is given.

    Raises:
        VersionRefused: it must not or cannot be served.
    """
    registry = Registry("plain", "http://127.0.0.1:9")
    package = opened(folder)
    if inputs is not None:
        package = replace(package, inputs=inputs)
    return read_version(registry, VERSION, package, RunFacts({}, None), Settings(**settings))
