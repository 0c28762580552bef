"""Real small parts that every test can ask for: a live MLflow server, ports, and tiny versions."""

import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from live import ROOT, find_free_port, make_bucket, start_mlflow, stop, wait_for

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("OMP_NUM_THREADS", "1")
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from core.registry.client import configure_client

configure_client()  # as every command does, before anything imports MLflow


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files first whose chosen tests may take longest: none runs alone at the end."""
    longest: dict[Path, float] = defaultdict(float)
    for item in items:
        limit = item.get_closest_marker("timeout")
        longest[item.path] = max(longest[item.path], limit.args[0] if limit else 0.0)
    items.sort(key=lambda item: -longest[item.path])


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Return a function that finds a free port."""
    return find_free_port


@pytest.fixture(scope="session")
def object_store() -> Iterator[str]:
    """Yield the address of a live S3 server (moto's)."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(object_store: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URI of a prefix in a new bucket; the environment says how to get there."""
    return make_bucket(object_store, monkeypatch)


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the tracking URI of a live MLflow server; the environment names it meanwhile."""
    folder = tmp_path_factory.mktemp("mlflow")
    port = find_free_port()
    process = start_mlflow(folder, port)
    uri = f"http://127.0.0.1:{port}"
    before = os.environ.get("MLFLOW_TRACKING_URI")
    try:
        wait_for(f"{uri}/health", 120, process)
        os.environ["MLFLOW_TRACKING_URI"] = uri
        yield uri
    finally:
        stop(process)
        if before is None:
            os.environ.pop("MLFLOW_TRACKING_URI", None)
        else:
            os.environ["MLFLOW_TRACKING_URI"] = before


@pytest.fixture(scope="session")
def register_version(mlflow_server: str) -> Callable[..., int]:
    """Return a function that trains and registers a tiny version, logged as training logs one."""
    import mlflow
    import numpy as np
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from core.contract import names
    from core.contract.model import Example, Feature, ModelContract

    mlflow.set_tracking_uri(mlflow_server)
    client = mlflow.MlflowClient()

    def register(
        name: str,
        release: str = "v1.0.0",
        *,
        threshold: float = 0.5,
        seed: int = 0,
        alias: str | None = names.CHAMPION,
        change: Callable[[ModelContract], ModelContract] = lambda contract: contract,
        tags: dict[str, str] | None = None,
        rows: int = 400,
        log_options: dict[str, Any] | None = None,
    ) -> int:
        """Register one version of model `name`; return its registry version number."""
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame(
            {
                "temperature": rng.normal(20, 5, rows),
                "pressure": rng.normal(1000, 10, rows),
                "wear": rng.integers(0, 5, rows).astype(float),
            }
        )
        frame.loc[rng.random(rows) < 0.1, "pressure"] = np.nan
        target = frame["temperature"] + 3 * frame["wear"] + rng.normal(0, 3, rows) > 26
        pipeline = make_pipeline(
            SimpleImputer(keep_empty_features=True), LogisticRegression(C=1.0 + seed)
        ).fit(frame, target)
        instance = {"temperature": 21.5, "pressure": None, "wear": 2.0}
        example = pd.DataFrame([instance]).astype(float)
        score = float(pipeline.predict_proba(example)[0, 1])
        contract = ModelContract(
            release=release,
            features=(
                Feature("temperature", unit="°C", min=-50, max=100, description="Bearing"),
                Feature("pressure", unit="hPa", min=800, max=1200),
                Feature("wear", unit="mm", min=0, max=10, nullable=False),
            ),
            target="failure within a week",
            threshold=threshold,
            threshold_policy={"policy": "fixed"},
            score_name="failure_score",
            label_name="failure_label",
            entity="serial",
            example=Example(instance, score),
        )
        mlflow.set_experiment(f"{name}-training")
        with mlflow.start_run(run_name=f"train {release}"):
            mlflow.log_params({"release": release, "threshold": threshold})
            mlflow.log_metrics({"test_roc_auc": 0.9, "test_recall": 0.8})
            options: dict[str, Any] = {
                "signature": ModelSignature(
                    Schema([ColSpec("double", f.name) for f in contract.features]),
                    Schema([TensorSpec(np.dtype("float64"), (-1, 2))]),
                ),
                "metadata": {names.METADATA_CONTRACT: change(contract).to_dict()},
                "input_example": example,
                "pip_requirements": ["scikit-learn"],
                "serialization_format": "skops",
                "skops_trusted_types": ["numpy.dtype"],
                "pyfunc_predict_fn": "predict_proba",
                **(log_options or {}),
            }
            info = mlflow.sklearn.log_model(pipeline, name="model", **options)
            reference = frame.assign(score=pipeline.predict_proba(frame)[:, 1])
            target_path = Path(names.ARTIFACT_REFERENCE)
            with tempfile.TemporaryDirectory() as folder:
                reference.to_parquet(Path(folder) / target_path.name)
                mlflow.log_artifact(str(Path(folder) / target_path.name), str(target_path.parent))
        tags = {names.TAG_RELEASE: release, **(tags or {})}
        number = int(mlflow.register_model(info.model_uri, name, tags=tags).version)
        if alias:
            client.set_registered_model_alias(name, alias, str(number))
        return number

    return register
