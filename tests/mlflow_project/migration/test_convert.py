"""Conversion of a pickled version to skops: by consent, with equal predictions."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from core.contract import names
from core.mlflow_client.errors import VersionRefused
from core.registry.evidence import training_record
from core.registry.packages import load_model, read_contract
from core.registry.versions import Registry
from mlflow_project.flips.ledger import Ledger
from mlflow_project.gate.verdict import read_evidence
from mlflow_project.registry import main
from serving.config.settings import Settings
from serving.model.loading import LoadedVersion, load_version

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(RNG.uniform(0, 9, (60, 2)), columns=["area", "rooms"])
DEAR = (FRAME["area"] > 4).astype(int)


class Traps:
    """A model whose pickle writes a file when it is read, and loads as a regression."""

    def __init__(self, file: Path, model: Any) -> None:
        """Store the file to write and the model to load."""
        self.file, self.model = file, model

    def __reduce__(self) -> Any:
        """Write the file on loading, and load as the model."""
        return _sprung, (str(self.file), self.model)


def _sprung(file: str, model: Any) -> Any:
    Path(file).write_text("read")
    return model


@pytest.fixture
def pickled(registry: Registry) -> Callable[..., None]:
    """Return a function that registers a pickled estimator, as a plain script would."""

    def log(model: Any, kind: str = "pickle", x: Any = FRAME, method: str = "predict") -> None:
        fitted = getattr(model, "model", model)
        with mlflow.start_run():
            mlflow.sklearn.log_model(
                model,
                name="model",
                serialization_format=kind,
                registered_model_name=registry.name,
                pyfunc_predict_fn=method,
                signature=infer_signature(x, getattr(fitted, method)(x)),
                input_example=x.head(2),
                pip_requirements=["scikit-learn"],
            )

    return log


def served(registry: Registry, release: str) -> LoadedVersion:
    """Return a version loaded as by a proxy without ALLOW_PICKLE."""
    return load_version(registry, registry.by_release(release), Settings(), lambda *_: None)


def test_a_pickle_is_read_once_by_consent_and_then_is_data(
    registry: Registry, pickled: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Versions pickled in both formats convert to skops versions with equal predictions."""
    pickled(LogisticRegression().fit(FRAME, DEAR), method="predict_proba")
    kinds = pd.DataFrame({"kind": ["a", "b", "c"] * 20, "size": RNG.uniform(0, 9, 60)})
    encoder = OneHotEncoder(handle_unknown="ignore")
    pickled(make_pipeline(encoder, LinearRegression()).fit(kinds, DEAR), "cloudpickle", kinds)
    for release, new, frame in (("v0.0.1", "v0.0.3", FRAME), ("v0.0.2", "v0.0.4", kinds)):
        with pytest.raises(VersionRefused):
            served(registry, release)
        assert main(["convert", release]) == 1
        assert "--trust-pickle" in capsys.readouterr().err
        assert main(["convert", release, "--trust-pickle"]) == 0
        assert f"{new} " in capsys.readouterr().out
        rows = frame.to_numpy().tolist()
        expected = load_model(registry, registry.by_release(release)).predict(frame)
        assert np.allclose(served(registry, new).output(rows), expected, rtol=0, atol=1e-12)
    entries = {entry.after: entry for entry in Ledger(registry).entries()}
    assert {entry.action for entry in entries.values()} == {"convert"}
    assert "v0.0.2" in entries["4"].why
    assert all(not version.aliases for version in registry.versions())
    assert main(["convert", "v0.0.3", "--trust-pickle"]) == 1
    assert "v0.0.3" in capsys.readouterr().err


def test_what_is_true_of_the_model_comes_along(
    registry: Registry, pickled: Callable[..., None], tmp_path: Path
) -> None:
    """Description, evidence and metrics are copied to the new version; the drift status is not."""
    pickled(LogisticRegression().fit(FRAME, DEAR), method="predict_proba")
    old = registry.by_release("v0.0.1")
    MlflowClient().log_metric(old.run_id, "test_accuracy", 0.9)
    kept = tmp_path / names.ARTIFACT_REFERENCE
    kept.parent.mkdir()
    FRAME.assign(score=0.5).to_parquet(kept)
    registry.client.log_model_artifacts(old.model_id, str(tmp_path))
    assert main(["describe", "v0.0.1", "--threshold", "0.4", "--units", "area=m"]) == 0
    registry.set_tag(old, names.TAG_DRIFT_STATUS, "RED")
    assert main(["convert", "v0.0.1", "--trust-pickle"]) == 0
    new = registry.by_release("v0.0.2")
    contract = read_contract(registry, new)
    assert replace(contract, release="v0.0.1") == read_contract(registry, registry.find(1))
    assert (contract.threshold, contract.features[0].unit, contract.outputs) == (0.4, "m", ())
    found = read_evidence(registry, new, names.ARTIFACT_REFERENCE)
    assert found is not None
    assert found.equals(pd.read_parquet(kept))
    assert training_record(registry, new).metrics["test_accuracy"] == 0.9
    assert names.TAG_DRIFT_STATUS not in new.tags


def test_without_consent_nothing_is_read(
    registry: Registry, pickled: Callable[..., None], tmp_path: Path
) -> None:
    """The pickle is read only with --trust-pickle."""
    trap = tmp_path / "trap"
    pickled(Traps(trap, LinearRegression().fit(FRAME, DEAR)))
    trap.unlink(missing_ok=True)  # MLflow unpickles it to validate the input example
    assert main(["convert", "v0.0.1"]) == 1
    assert not trap.exists()
    assert main(["convert", "v0.0.1", "--trust-pickle", "--version", "v2.0.0"]) == 0
    assert trap.exists()
    assert served(registry, "v2.0.0").number == 2


def test_what_skops_cannot_hold_is_refused(
    registry: Registry, pickled: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """A pipeline with a function is refused, and no version is added."""
    model = make_pipeline(FunctionTransformer(lambda x: 2 * x), LinearRegression())
    pickled(model.fit(FRAME, DEAR), "cloudpickle")
    assert main(["convert", "v0.0.1", "--trust-pickle"]) == 1
    assert capsys.readouterr().err
    assert [version.number for version in registry.versions()] == [1]
