"""The OpenAPI document matches the server: schemathesis finds nothing with all its checks.

It reads the document of a running server and sends valid and invalid requests. Findings are valid
requests that are refused, invalid ones that are accepted, responses of an undocumented status,
type or schema, ignored keys, and server errors.
"""

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.models import infer_signature
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from core.contract.model import Example, Feature, ModelContract
from serving.http.openapi_input import invocations_content
from serving.protocol.mlflow_input import read_sent
from serving.protocol.validation import Validator
from tests.live import wait_for

KEY = "a-key"
HOOKS = """import schemathesis

@schemathesis.hook
def filter_case(context, case):
    # No schema says which CSV or Parquet is accepted; the tests below say it.
    if case.media_type in ("text/csv", "application/vnd.apache.parquet"):
        return False
    # Nor that two lists are of one length.
    split = case.body.get("dataframe_split") if isinstance(case.body, dict) else None
    index, data = (split.get(k) if isinstance(split, dict) else None for k in ("index", "data"))
    lists = isinstance(index, list) and isinstance(data, list)
    return not lists or len(index) == len(data)
"""


@pytest.fixture
def explore(
    settings_for: Callable[..., Any],
    free_port: Callable[[], int],
    spawned: Callable[..., Any],
    tmp_path: Path,
) -> Callable[..., None]:
    """Return a function that runs schemathesis on all operations of a server of a model."""

    def run(name: str, examples: int, **environ: str) -> None:
        with spawned(settings_for(name), free_port(), **environ) as (process, proxy):
            address = str(proxy.http.base_url).rstrip("/")
            wait_for(f"{address}/ready", 120, process)
            command = [
                *(sys.executable, "-m", "schemathesis.cli", "--no-color", "run"),
                *(f"{address}/openapi.json", "--checks", "all", "--seed", "1"),
                "--generation-deterministic",
                *("--max-examples", str(examples), "--continue-on-failure"),
                *("--suppress-health-check", "all", "-H", f"X-API-Key: {KEY}"),
                # A schema cannot describe valid workbooks; tests/serving/lists covers them.
                *("--exclude-path", "/lista"),
            ]
            hooks = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(tmp_path)}
            (tmp_path / "hooks.py").write_text(HOOKS)
            done = subprocess.run(command, cwd=tmp_path, env=hooks, capture_output=True, text=True)
            paths = proxy.http.get("/openapi.json", headers={"X-API-Key": KEY}).json()["paths"]
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        documented = sum(len(methods) for path, methods in paths.items() if path != "/lista")
        assert _operations(done.stdout) == documented > 10

    return run


def _operations(output: str) -> int:
    found = re.search(r"Tested: (\d+)", output)
    assert found is not None, output[-2000:]
    return int(found.group(1))


@pytest.mark.slow
def test_schemathesis_finds_nothing(
    register_version: Callable[..., int],
    new_model: Callable[[], str],
    explore: Callable[..., None],
) -> None:
    """All operations of a server with API keys, for a version with a contract."""
    name = new_model()
    register_version(name)
    explore(name, 15, API_KEYS=KEY)


@pytest.mark.slow
def test_schemathesis_finds_nothing_in_many_examples(
    register_version: Callable[..., int],
    new_model: Callable[[], str],
    explore: Callable[..., None],
) -> None:
    """All operations with 300 examples each, without API keys."""
    name = new_model()
    register_version(name)
    explore(name, 300)


@pytest.mark.slow
def test_schemathesis_finds_nothing_of_a_foreign_model(
    mlflow_server: str, new_model: Callable[[], str], explore: Callable[..., None]
) -> None:
    """A model without a contract: column names with spaces and brackets, text classes."""
    mlflow.set_tracking_uri(mlflow_server)
    x, y = load_iris(return_X_y=True, as_frame=True)
    kinds = np.array(["setosa", "versicolor", "virginica"])[y]
    model = LogisticRegression(max_iter=500).fit(x, kinds)
    name = new_model()
    with mlflow.start_run():
        mlflow.sklearn.log_model(
            model,
            name="model",
            registered_model_name=name,
            signature=infer_signature(x, model.predict(x)),
            pip_requirements=[],
        )
    mlflow.MlflowClient().set_registered_model_alias(name, "champion", "1")
    explore(name, 60)


CONTRACT = ModelContract(
    release="v1.0.0",
    features=(
        Feature("size (cm), of it", min=-2.5, max=1200),
        Feature("count", type="long", min=0, max=37, nullable=False),
        Feature("any", type="long"),
        Feature("ratio", min=0.25, max=0.75),
        Feature("on", type="boolean"),
        Feature("kind", type="string", values=('a "b"', "c, d", "e.f")),
        Feature("text", type="string"),
        Feature("below", max=-3),
    ),
    target="x",
    threshold=0.5,
    example=Example(
        {
            "size (cm), of it": 1.5,
            "count": 3,
            "any": None,
            "ratio": 0.5,
            "on": True,
            "kind": "c, d",
            "text": "Abcde",
            "below": -4.0,
        },
        0.5,
    ),
)


KINDS = {
    "double": st.floats(-1e6, 1e6),
    "long": st.integers(-(2**63), 2**63 - 1),
    "boolean": st.sampled_from(["true", "false"]),
    "string": st.text(st.characters(exclude_categories=["C"]), min_size=1).filter(str.strip),
}


def cells(feature: Feature) -> st.SearchStrategy[Any]:
    """Return a strategy of the CSV cells that a feature accepts; an empty cell is null."""
    values = KINDS[feature.type]
    if feature.values:
        values = st.sampled_from(feature.values)
    elif feature.type in ("double", "long"):
        low = -(2**62) if feature.min is None else feature.min
        high = 2**62 if feature.max is None else feature.max
        whole = feature.type == "long"
        values = st.integers(int(low), int(high)) if whole else st.floats(low, high)
    return st.one_of(values, st.just("")) if feature.nullable else values


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.data(), st.permutations(range(8)))
def test_every_csv_of_accepted_values_is_accepted(data: st.DataObject, order: list[int]) -> None:
    """Any CSV of accepted values is accepted, with quoted names and columns in any order."""
    features = [CONTRACT.features[place] for place in order]
    rows = data.draw(st.lists(st.tuples(*map(cells, features)), min_size=1, max_size=5))
    text = io.StringIO()
    csv.writer(text).writerows([[feature.name for feature in features], *rows])
    body = text.getvalue().encode()
    read = read_sent(body, "text/csv", CONTRACT.features, 5, 0).instances
    accepted = Validator(CONTRACT, 5).read_instances(list(read)).rows
    assert len(accepted) == len(rows)


def test_the_examples_of_the_contract_are_accepted() -> None:
    """The JSON and CSV examples of the document are accepted as the contract's example."""
    content = invocations_content(CONTRACT, 5)
    for kind, encode in (("application/json", json.dumps), ("text/csv", str)):
        body = encode(content[kind]["example"]).encode()
        rows = read_sent(body, kind, CONTRACT.features, 5, 0).instances
        accepted = Validator(CONTRACT, 5).read_instances(list(rows)).rows
        assert accepted == [list(CONTRACT.example.instance.values())]  # type: ignore[union-attr]
