"""Models registered with plain MLflow, without a contract, are served from their signature."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, Schema
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression

from core.contract.columns import probability_columns

IRIS, KINDS = load_iris(return_X_y=True, as_frame=True)
SPECIES = np.array(["setosa", "versicolor", "virginica"])[KINDS]
TREE = "sklearn.tree._tree.Tree"


@pytest.fixture
def publish(mlflow_server: str, new_model: Callable[[], str]) -> Callable[..., str]:
    """Return a function that registers a fitted estimator as `mlflow.sklearn` documents it."""

    def register(model: Any, x: Any, log: Any = mlflow.sklearn, **options: Any) -> str:
        name = new_model()
        if "signature" not in options:
            options["signature"] = infer_signature(x, model.predict(x))
        # Inferring requirements takes seconds, and the proxy does not read them.
        options.setdefault("pip_requirements", [])
        key = "sk_model" if log is mlflow.sklearn else "python_model"
        with mlflow.start_run():
            info = log.log_model(
                **{key: model}, name="model", registered_model_name=name, **options
            )
        number = str(info.registered_model_version)
        MlflowClient().set_registered_model_alias(name, "champion", number)
        return name

    mlflow.set_tracking_uri(mlflow_server)
    return register


def records(x: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a frame's rows as plain mappings."""
    return x.astype(object).where(x.notna(), None).to_dict("records")


def test_a_classifier_answers_its_classes(
    publish: Callable[..., str], start: Callable[..., Any]
) -> None:
    """Text classes and column names with spaces and brackets: outputs equal pyfunc's."""
    name = publish(LogisticRegression(max_iter=500).fit(IRIS, SPECIES), IRIS)
    proxy = start(name).wait_ready()
    rows = IRIS[::10]
    expected = list(mlflow.pyfunc.load_model(f"models:/{name}@champion").predict(rows))
    answer = proxy.predict(*records(rows)).json()
    assert answer["predictions"] == [
        {"prediction": kind, "model_version": "v0.0.1"} for kind in expected
    ]
    assert (answer["model_version"], answer["threshold"]) == ("v0.0.1", None)
    invoked = proxy.http.post("/invocations", json={"dataframe_records": records(rows)})
    assert invoked.json() == {"predictions": expected}
    metadata = proxy.http.get("/metadata").json()
    assert [f["name"] for f in metadata["features"]] == list(IRIS.columns)
    assert (metadata["threshold"], metadata["threshold_source"]) == (None, None)
    assert proxy.health()["status"] == "healthy"


def test_a_regression_is_captured_with_its_number_as_score(
    publish: Callable[..., str], start: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """The output has its schema's name and is captured as score; label and threshold are null."""
    x, y = load_diabetes(return_X_y=True, as_frame=True)
    model = LinearRegression().fit(x, y)
    signature = infer_signature(x, pd.DataFrame({"progression": model.predict(x)}))
    name = publish(model, x, signature=signature)
    proxy = start(name, capture_flush_seconds=0.2).wait_ready()
    answer = proxy.predict(*records(x[:20])).json()
    given = [prediction["progression"] for prediction in answer["predictions"]]
    assert np.abs(np.array(given) - model.predict(x[:20])).max() < 1e-9
    (path,) = eventually(lambda: proxy.parquet())
    stored = pd.read_parquet(path)
    assert list(stored["score"]) == given
    assert stored["label"].isna().all()
    assert stored["threshold"].isna().all()
    assert np.array_equal(stored[list(x.columns)], x[:20])


def test_probabilities_come_as_a_list(
    publish: Callable[..., str], start: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """A model that predicts probabilities returns one list per row under `prediction`.

    The position of the most probable class is captured as label, with the probability of each
    class.
    """
    model = RandomForestClassifier(5, random_state=0).fit(IRIS, KINDS)
    name = publish(
        model,
        IRIS,
        signature=infer_signature(IRIS, model.predict_proba(IRIS)),
        pyfunc_predict_fn="predict_proba",
        skops_trusted_types=[TREE],
    )
    proxy = start(name, capture_flush_seconds=0.2).wait_ready()
    answer = proxy.predict(*records(IRIS[::25])).json()
    given = [prediction["prediction"] for prediction in answer["predictions"]]
    assert given == model.predict_proba(IRIS[::25]).tolist()
    (path,) = eventually(lambda: proxy.parquet())
    stored = pd.read_parquet(path)
    assert stored["label"].tolist() == np.argmax(given, axis=1).tolist()
    assert stored[list(probability_columns(3))].to_numpy().tolist() == given


def test_the_signature_says_what_is_required(
    publish: Callable[..., str], start: Callable[..., Any]
) -> None:
    """Missing or mistyped required columns are all reported at once; OpenAPI lists them."""
    proxy = start(publish(LogisticRegression(max_iter=500).fit(IRIS, KINDS), IRIS)).wait_ready()
    row = records(IRIS[:1])[0]
    answer = proxy.predict({**row, "petal width (cm)": "wide"}, dict(list(row.items())[1:]))
    details = answer.json()["error"]["details"]
    assert answer.status_code == 422
    assert [(d["instance"], d["field"]) for d in details] == [
        *((0, "petal width (cm)"), (1, "sepal length (cm)"))
    ]
    document = proxy.http.get("/openapi.json").json()
    content = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert content["schema"]["properties"]["instances"]["items"]["required"] == list(IRIS.columns)


def test_a_model_fitted_on_an_array_takes_x0_x1(
    publish: Callable[..., str], start: Callable[..., Any]
) -> None:
    """A tensor signature yields the names x0, x1, ...; lists are read by position."""
    x = IRIS.to_numpy()
    model = LogisticRegression(max_iter=500).fit(x, KINDS)
    proxy = start(publish(model, x)).wait_ready()
    rows = [dict(zip(("x0", "x1", "x2", "x3"), row, strict=True)) for row in x[::20].tolist()]
    expected = model.predict(x[::20]).tolist()
    answer = proxy.predict(*rows).json()
    assert [p["prediction"] for p in answer["predictions"]] == expected
    invoked = proxy.http.post("/invocations", json={"inputs": x[::20].tolist()})
    assert invoked.json() == {"predictions": expected}


class _Doubler(mlflow.pyfunc.PythonModel):
    """A pyfunc model with two named outputs."""

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def] # noqa: ARG002
        """Return twice the first column."""
        first = model_input.iloc[:, 0]
        return pd.DataFrame({"kind": "double", "value": first * 2})


def test_another_flavour_needs_trust(
    publish: Callable[..., str], start: Callable[..., Any], tmp_path: Path
) -> None:
    """Another flavour is refused by default; with ALLOW_PICKLE it has its schema's output names."""
    signature = ModelSignature(
        Schema([ColSpec("double", "a"), ColSpec("long", "b", required=False)]),
        Schema([ColSpec("string", "kind"), ColSpec("double", "value")]),
    )
    name = publish(_Doubler(), None, mlflow.pyfunc, signature=signature)
    refused = start(name, log_file=tmp_path / "refused.log")
    assert "ALLOW_PICKLE" in refused.wait_for(alias_version=1)["reasons"][0]
    trusted = start(name, allow_pickle=True).wait_ready()
    release = {"model_version": "v0.0.1"}
    answer = trusted.predict({"a": 1.5, "b": 1}).json()
    assert answer["predictions"] == [{"kind": "double", "value": 3.0, **release}]
    invoked = trusted.http.post("/invocations", json={"inputs": {"a": [1.5], "b": [2]}})
    assert invoked.json() == {"predictions": [{"kind": "double", "value": 3.0}]}
    assert trusted.predict({"b": 1}).status_code == 422


def test_the_release_tag_names_the_version(
    publish: Callable[..., str], start: Callable[..., Any]
) -> None:
    """A version tag `model_version` such as v3.1.4 is the release in responses."""
    name = publish(LogisticRegression(max_iter=500).fit(IRIS, KINDS), IRIS)
    MlflowClient().set_model_version_tag(name, "1", "model_version", "v3.1.4")
    proxy = start(name).wait_ready()
    assert proxy.predict(*records(IRIS[:1])).json()["model_version"] == "v3.1.4"
