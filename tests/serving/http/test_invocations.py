"""MLflow's scoring protocol: the same bodies and responses, checked with MLflow's own client."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx
import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.pyfunc.scoring_server import invocations as mlflow_invocations
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

from serving.app import create_app
from serving.config.settings import Settings
from serving.protocol.csv_input import cell_value
from serving.protocol.decoder import InstanceReader

JSON, CSV = "application/json", "text/csv"
COLUMNS = ["temperature", "pressure", "wear"]


def frame_of(n: int, seed: int = 0) -> pd.DataFrame:
    """Return n valid rows, every third without a pressure."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "temperature": rng.normal(20, 5, n),
            "pressure": rng.uniform(900, 1100, n),
            "wear": rng.integers(0, 9, n).astype(float),
        }
    )
    frame.loc[::3, "pressure"] = np.nan
    return frame


def bodies_of(frame: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Return the same rows in every format of MLflow's protocol, with its content type."""
    plain = frame.astype(object).where(frame.notna(), None)
    records, columns = plain.to_dict("records"), plain.to_dict("list")
    split = {k: v for k, v in plain.to_dict("split").items() if k != "index"}
    documents: dict[str, Any] = {
        "split": {"dataframe_split": split},
        "split with index": {"dataframe_split": {**split, "index": list(frame.index)}},
        "records": {"dataframe_records": records},
        "instances": {"instances": records},
        "inputs": {"inputs": records},
        "inputs by column": {"inputs": columns},
    }
    bodies = {name: (json.dumps(document), JSON) for name, document in documents.items()}
    bodies["csv"] = (frame.to_csv(index=False), CSV)
    bodies["csv with index"] = (frame.to_csv(), f"{CSV}; charset=utf-8")
    return bodies


@pytest.fixture(scope="module")
def pyfunc(proxy: Any) -> Any:
    """Return the served version as loaded by mlflow.pyfunc."""
    return mlflow.pyfunc.load_model(f"models:/{proxy.settings.model_name}/1")


def invoke(proxy: Any, body: str, content_type: str) -> httpx.Response:
    """Return the response of /invocations to a body."""
    return proxy.http.post("/invocations", content=body, headers={"Content-Type": content_type})


@pytest.mark.parametrize("n", [1, 40, 200])
def test_all_ways_give_the_same_scores(proxy: Any, pyfunc: Any, n: int) -> None:
    """/invocations in every format, /predict and pyfunc agree to 1e-12."""
    frame = frame_of(n)
    expected = np.asarray(pyfunc.predict(frame))
    assert expected.shape == (n, 2)
    for name, (body, kind) in bodies_of(frame).items():
        answer = invoke(proxy, body, kind)
        assert answer.status_code == 200, name
        assert list(answer.json()) == ["predictions"]
        assert np.abs(np.array(answer.json()["predictions"]) - expected).max() <= 1e-12, name
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    predicted = [p["failure_score"] for p in proxy.predict(*rows).json()["predictions"]]
    assert np.abs(np.array(predicted) - expected[:, 1]).max() <= 1e-12


@pytest.mark.parametrize("kind", [JSON, f"{JSON}; charset=utf-8", "Application/JSON;charset=UTF-8"])
def test_a_stated_charset_is_as_quick(
    kind: str, proxy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body with a stated UTF-8 charset is decoded by the fast reader, like one without."""
    read = []
    exact = InstanceReader.read_frame

    def read_frame(self: InstanceReader, body: bytes) -> Any:
        read.append(body)
        return exact(self, body)

    monkeypatch.setattr(InstanceReader, "read_frame", read_frame)
    body, _ = bodies_of(frame_of(3))["split"]
    assert invoke(proxy, body, kind).status_code == 200
    assert read == [body.encode()]


def test_the_bodies_are_those_that_mlflow_takes(pyfunc: Any) -> None:
    """MLflow's own server code accepts the bodies that these tests send."""
    frame = frame_of(5)
    expected = np.asarray(pyfunc.predict(frame))
    schema = pyfunc.metadata.get_input_schema()
    for name, (body, kind) in bodies_of(frame).items():
        answer = mlflow_invocations(body, kind, pyfunc, schema)
        assert answer.status == 200, name
        assert np.allclose(json.loads(answer.response)["predictions"], expected)


def test_mlflows_client_needs_no_change(proxy: Any, pyfunc: Any) -> None:
    """MLflow's own scoring client works: ping, version and invoke."""
    client = ScoringServerClient("127.0.0.1", proxy.http.base_url.port)
    client.wait_server_ready(5)
    assert client.get_version() == mlflow.__version__
    frame = frame_of(7).dropna()
    answer = client.invoke(frame).get_predictions()
    assert np.allclose(answer.to_numpy(), pyfunc.predict(frame), atol=1e-12)


def test_invocations_are_logged_and_captured(proxy: Any, eventually: Callable[..., Any]) -> None:
    """An invocation has one captured row per instance and one log line, as at /predict."""
    body, kind = bodies_of(frame_of(4))["csv"]
    before = proxy.health()["capture"]["captured"]
    headers = {"Content-Type": kind, "X-Request-ID": "an-invocation"}
    assert proxy.http.post("/invocations", content=body, headers=headers).status_code == 200
    assert proxy.health()["capture"]["captured"] == before + 4

    def line() -> Any:
        return next((x for x in proxy.log() if x.get("request_id") == "an-invocation"), None)

    found = eventually(line)
    assert (found["path"], found["status_code"], found["n_instances"]) == ("/invocations", 200, 4)
    assert found["model_version"] == "v1.2.0"
    rows = [x for j in proxy.journals() for x in j.read_text().splitlines()[1:]]
    captured = [json.loads(row) for row in rows if "an-invocation" in row]
    assert [row[1] for row in captured] == [0, 1, 2, 3]
    assert all(row[-4] is not None and row[-3] == int(row[-4] >= row[-2]) for row in captured)


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        ("{", JSON, 400, "invalid_json"),
        ('{"dataframe_records": [{"wear": 1, "wear": 2}]}', JSON, 400, "duplicate_key"),
        ("[]", JSON, 422, "validation_failed"),
        ("{}", JSON, 422, "validation_failed"),
        ('{"instances": [], "inputs": []}', JSON, 422, "validation_failed"),
        ('{"dataframe_records": []}', JSON, 422, "validation_failed"),
        ('{"dataframe_records": {"wear": 1}}', JSON, 422, "validation_failed"),
        ('{"dataframe_records": [{"temperature": 1}]}', JSON, 422, "validation_failed"),
        ('{"dataframe_records": [{"wear": NaN}]}', JSON, 422, "validation_failed"),
        ('{"dataframe_split": {"columns": ["wear"]}}', JSON, 422, "validation_failed"),
        ('{"dataframe_split": {"columns": ["wear", "wear"], "data": [[1, 1]]}}', JSON, 422, "v"),
        ('{"dataframe_split": {"columns": ["wear"], "data": [[1, 2]]}}', JSON, 422, "v"),
        ('{"inputs": {"wear": [1, 2], "temperature": [1]}}', JSON, 422, "validation_failed"),
        ('{"instances": [{"wear": 1}], "params": {"a": 1}}', JSON, 422, "validation_failed"),
        ("wear\nSECRET", CSV, 422, "validation_failed"),
        ("wear,wear\n1,1", CSV, 422, "validation_failed"),
        ("wear\n1,2", CSV, 422, "validation_failed"),
        ("wear\ninf", CSV, 422, "validation_failed"),
        ("wear", CSV, 422, "validation_failed"),
        ("", CSV, 422, "validation_failed"),
        ("wear\n1", "application/xml", 415, "unsupported_media_type"),
        ("wear\n1", f"{CSV}; charset=latin-1", 415, "unsupported_media_type"),
        ("wear\n1", "", 415, "unsupported_media_type"),
    ],
)
def test_a_refused_body_is_explained_without_its_values(
    proxy: Any, body: str, kind: str, status: int, code: str
) -> None:
    """An invalid body has the status and error code of /predict, and no value is repeated."""
    answer = invoke(proxy, body, kind)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["code"].startswith(code)
    assert "SECRET" not in answer.text


def test_invocations_take_more_rows_than_predict(proxy: Any, pyfunc: Any) -> None:
    """/invocations has its own row and byte limits; a long body needs a Content-Length."""
    frame = frame_of(1000)
    split, kind = bodies_of(frame)["split"]
    expected = pyfunc.predict(frame)
    long = split + " " * proxy.settings.max_body_bytes
    for body in (split, long):
        answer = invoke(proxy, body, kind)
        assert answer.status_code == 200
        assert np.abs(np.array(answer.json()["predictions"]) - expected).max() <= 1e-12
    unsaid = proxy.http.post(
        "/invocations", content=iter([long.encode()]), headers={"Content-Type": kind}
    )
    assert unsaid.status_code == 413
    for name, (body, kind) in bodies_of(frame_of(1001)).items():
        assert invoke(proxy, body, kind).status_code == 422, name
    rows = frame.head(301).astype(object).where(frame.notna(), None).to_dict("records")
    assert proxy.predict(*rows).status_code == 422


EXTRA = '{"instances": [{"wear": 1, "temperature": 20, "SECRET": "x"}]}'


def test_fields_that_the_model_does_not_have_are_left_out_and_counted(
    proxy: Any, eventually: Callable[..., Any]
) -> None:
    """/invocations drops and counts unknown fields, as MLflow does; /predict refuses them."""
    known = EXTRA.replace(', "SECRET": "x"', "")
    assert invoke(proxy, EXTRA, JSON).json() == invoke(proxy, known, JSON).json()
    csv_body = "wear,temperature,SECRET\n1,20,x"
    assert invoke(proxy, csv_body, CSV).json() == invoke(proxy, known, JSON).json()
    assert proxy.http.post("/predict", content=EXTRA).status_code == 422
    eventually(lambda: "ignored_fields_total 2.0" in proxy.http.get("/metrics").text)


def test_a_setting_decides_what_becomes_of_unknown_fields(
    start: Callable[..., Any], proxy: Any
) -> None:
    """`refuse` and `ignore` apply to both routes; `ignore` still refuses a missing field."""
    model = proxy.settings.model_name
    strict = start(model, unknown_fields="refuse").wait_ready()
    assert invoke(strict, EXTRA, JSON).status_code == 422
    lenient = start(model, unknown_fields="ignore").wait_ready()
    assert lenient.http.post("/predict", content=EXTRA).status_code == 200
    missing = EXTRA.replace('"wear": 1, ', "")
    assert lenient.http.post("/predict", content=missing).status_code == 422


def test_what_mlflows_client_writes_is_understood(proxy: Any) -> None:
    """NaN is read as null, and 1.0 as an integer, in JSON and CSV."""
    null = invoke(proxy, '{"instances": [{"wear": 1, "temperature": 20}]}', JSON).json()
    body = '{"instances": [{"wear": 1.0, "temperature": 20, "pressure": NaN}]}'
    assert invoke(proxy, body, JSON).json() == null
    assert invoke(proxy, "wear,temperature,pressure\n1.0,20,nan", CSV).json() == null


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("long", "33.0", 33.0),
        ("long", "33.5", 33.5),
        ("boolean", "1", True),
        ("boolean", "0", False),
    ],
)
def test_cells_of_csv_are_read_as_mlflow_reads_them(kind: str, text: str, value: Any) -> None:
    """A cell keeps a fractional number for a `long`, which the contract refuses later."""
    assert cell_value(kind, text) == value


def test_before_a_model_is_there_ping_says_404(
    new_model: Callable[[], str], start: Callable[..., Any]
) -> None:
    """Without a model /ping returns 404, as MLflow's does, and /invocations 503."""
    proxy = start(new_model())
    assert proxy.http.get("/ping").status_code == 404
    assert invoke(proxy, '{"instances": [{}]}', JSON).status_code == 503
    assert proxy.http.get("/version").text == mlflow.__version__


@pytest.mark.slow
def test_mlflow_models_serve_gives_the_same_scores(
    proxy: Any, free_port: Callable[[], int], eventually: Callable[..., Any]
) -> None:
    """`mlflow models serve` returns the same scores for every format, to 1e-12."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"),
        *("-m", f"models:/{proxy.settings.model_name}/1", "-p", str(port)),
    ]
    path = f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"  # noqa: PTH120
    server = subprocess.Popen(command, env={**os.environ, "PATH": path}, start_new_session=True)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:

            def up() -> bool:
                try:
                    return http.get("/ping").status_code == 200
                except httpx.TransportError:
                    return False

            eventually(up, 90)
            for name, (body, kind) in bodies_of(frame_of(30, seed=3)).items():
                theirs = http.post("/invocations", content=body, headers={"Content-Type": kind})
                ours = invoke(proxy, body, kind)
                assert theirs.status_code == ours.status_code == 200, name
                a, b = (np.array(r.json()["predictions"]) for r in (theirs, ours))
                assert np.abs(a - b).max() <= 1e-12, name
    finally:
        os.killpg(server.pid, 15)
        server.wait(20)


def test_no_route_that_scores_goes_through_the_router() -> None:
    """All scoring routes bypass the router, which costs as much as the rest of a small request."""
    app = create_app(Settings(models=("a", "b")))
    hot = app.middleware_stack.hot  # type: ignore[union-attr]
    routes = ("/predict", "/predict/batch", "/invocations")
    prefixes = ("", "/models/a", "/models/b")
    assert set(hot) == {("POST", prefix + route) for prefix in prefixes for route in routes}
