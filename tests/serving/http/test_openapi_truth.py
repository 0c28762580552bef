"""The OpenAPI document is true: schemathesis, with every check it has, finds nothing.

It reads the document of a real server and sends what the document allows and what it forbids. What
the first is refused for, what the second is let through with, any answer of another status, type
or shape than the document says, ignored keys and server errors are findings.
"""

import json
import math
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
from live import wait_for
from mlflow.models import infer_signature
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from core.contract.model import Example, Feature, ModelContract
from serving.http.number_pattern import integers, number_pattern
from serving.http.openapi_input import invocations_content
from serving.protocol.mlflow_input import read_instances
from serving.protocol.validation import Validator

KEY = "a-key"


@pytest.fixture
def explore(
    settings_for: Callable[..., Any],
    free_port: Callable[[], int],
    spawned: Callable[..., Any],
    tmp_path: Path,
) -> Callable[..., str]:
    """Return a function that runs schemathesis against a server of a model."""

    def run(name: str, examples: int, **environ: str) -> str:
        with spawned(settings_for(name), free_port(), **environ) as (process, proxy):
            address = str(proxy.http.base_url).rstrip("/")
            wait_for(f"{address}/ready", 120, process)
            command = [
                *(sys.executable, "-m", "schemathesis.cli", "--no-color", "run"),
                *(f"{address}/openapi.json", "--checks", "all", "--seed", "1"),
                "--generation-deterministic",
                *("--max-examples", str(examples), "--continue-on-failure"),
                *("--suppress-health-check", "all", "-H", f"X-API-Key: {KEY}"),
            ]
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        return done.stdout

    return run


def _operations(output: str) -> int:
    found = re.search(r"Tested: (\d+)", output)
    assert found is not None, output[-2000:]
    return int(found.group(1))


def test_schemathesis_finds_nothing(
    register_version: Callable[..., int],
    new_model: Callable[[], str],
    explore: Callable[..., str],
) -> None:
    """Every operation of a server with keys, of a version with our contract."""
    name = new_model()
    register_version(name)
    assert _operations(explore(name, 15, API_KEYS=KEY)) == 10


@pytest.mark.slow
def test_schemathesis_finds_nothing_in_many_examples(
    register_version: Callable[..., int],
    new_model: Callable[[], str],
    explore: Callable[..., str],
) -> None:
    """The same, at length, without keys."""
    name = new_model()
    register_version(name)
    assert _operations(explore(name, 300)) == 10


@pytest.mark.slow
def test_schemathesis_finds_nothing_of_a_foreign_model(
    mlflow_server: str, new_model: Callable[[], str], explore: Callable[..., str]
) -> None:
    """Columns with spaces and brackets, classes as text: a model that brought no contract."""
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
    assert _operations(explore(name, 60)) == 10


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


@settings(max_examples=40, derandomize=True, deadline=None)
@given(st.data())
def test_every_csv_that_the_pattern_allows_is_accepted(data: st.DataObject) -> None:
    """Features of every kind, quoted names and categories, limits: read and checked as sent."""
    csv = invocations_content(CONTRACT, 5)["text/csv"]
    body = data.draw(st.from_regex(csv["schema"]["pattern"], fullmatch=True))
    rows = read_instances(body.encode(), "text/csv", CONTRACT.features)
    accepted, _ = Validator(CONTRACT, 5).read_instances(rows)
    assert 1 <= len(accepted) <= 5


def test_the_examples_of_the_contract_are_accepted() -> None:
    """Both bodies that the document shows are the contract's own example."""
    content = invocations_content(CONTRACT, 5)
    for kind, encode in (("application/json", json.dumps), ("text/csv", str)):
        body = encode(content[kind]["example"]).encode()
        rows = read_instances(body, kind, CONTRACT.features)
        accepted, _ = Validator(CONTRACT, 5).read_instances(rows)
        assert accepted == [list(CONTRACT.example.instance.values())]  # type: ignore[union-attr]
    assert re.fullmatch(content["text/csv"]["schema"]["pattern"], content["text/csv"]["example"])


def test_integers_match_exactly_their_range() -> None:
    """Every range under 120 matches its own numbers and no other below 1,500."""
    for first in range(0, 120, 3):
        for last in [*range(first, 120, 7), 999, 1000, 1234]:
            pattern = re.compile("|".join(integers(first, last)))
            found = [n for n in range(1500) if pattern.fullmatch(str(n))]
            assert found == list(range(first, last + 1))


@settings(max_examples=80, derandomize=True, deadline=None)
@given(
    st.one_of(st.none(), st.floats(-2000, 2000)),
    st.one_of(st.none(), st.floats(0, 3000)),
    st.booleans(),
    st.data(),
)
def test_a_number_that_matches_lies_within_its_limits(
    low: float | None, span: float | None, whole: bool, data: st.DataObject
) -> None:
    """Whatever the limits, negative, fractional or missing."""
    high = None if span is None else (low or 0.0) + span
    if whole and high is not None:
        high = math.floor(high) + 1.0  # at least one integer lies between
    text = data.draw(st.from_regex(number_pattern(low, high, whole=whole), fullmatch=True))
    value = int(text) if whole else float(text)
    assert low is None or value >= low
    assert high is None or value <= high
