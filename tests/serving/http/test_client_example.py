"""examples/client.py against a live proxy, as a program and as an imported module."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "examples/client.py"
ROW = {"temperature": 21.5, "pressure": None, "wear": 2}


@pytest.fixture(scope="module")
def example() -> Any:
    """Return the example as a module."""
    spec = importlib.util.spec_from_file_location("client", EXAMPLE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_scores_a_file(proxy: Any, tmp_path: Path) -> None:
    """The program prints the proxy's predictions for the file's rows, one per line, in order."""
    rows = [{**ROW, "wear": wear} for wear in range(5)]
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    command = [sys.executable, "-I", str(EXAMPLE), str(proxy.http.base_url), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    assert printed == proxy.predict(*rows).json()["predictions"]


def test_many_rows_go_in_batches_whose_ids_are_told(
    proxy: Any, example: Any, eventually: Callable[..., Any]
) -> None:
    """Rows beyond the proxy's limit are sent in batches, each logged under its own request id."""
    client = example.Client(str(proxy.http.base_url), batch=150)
    rows = [{**ROW, "temperature": 20 + place / 100} for place in range(400)]
    found = list(client.predict(rows, request_id="example"))
    asked = [proxy.predict(*rows[start : start + 200]).json() for start in (0, 200)]
    assert found == [one for answer in asked for one in answer["predictions"]]
    wanted = {"example-0", "example-1", "example-2"}
    assert eventually(lambda: wanted <= {line.get("request_id") for line in proxy.log()})


def test_a_proxy_that_is_not_ready_is_asked_again(
    example: Any,
    new_model: Callable[[], str],
    start: Callable[..., Any],
    register_version: Callable[..., int],
    eventually: Callable[..., Any],
) -> None:
    """A 503 is retried until the model is ready; with `patience=0` it is raised."""
    name = new_model()
    proxy = start(name)
    address = str(proxy.http.base_url)
    with pytest.raises(example.RefusedError, match="503"):
        list(example.Client(address, patience=0).predict([ROW]))
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(lambda: list(example.Client(address, patience=300).predict([ROW])))
        refused = lambda: sum(line.get("status_code") == 503 for line in proxy.log())  # noqa: E731
        assert eventually(lambda: refused() >= 2)
        register_version(name)
        assert len(asked.result(timeout=300)) == 1


def test_a_refusal_names_row_and_field_and_no_value(proxy: Any, example: Any) -> None:
    """The error of a 422 names row and field, and has no value."""
    client = example.Client(str(proxy.http.base_url))
    with pytest.raises(example.RefusedError, match="422") as refused:
        list(client.predict([ROW, {**ROW, "wear": "SECRET"}]))
    assert "row 1, wear" in str(refused.value)
    assert "None" not in str(refused.value)
    assert "SECRET" not in str(refused.value)
