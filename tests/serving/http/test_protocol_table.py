"""The table of docs/serving.md, checked against `mlflow models serve` and this server.

Both are live and get the same bytes; each table entry must be the server's actual response.
"""

import io
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import mlflow
import numpy as np
import pandas as pd
import pytest
import skops.io
import uvicorn
from mlflow import MlflowClient
from mlflow.models import ModelSignature, infer_signature
from mlflow.pyfunc import scoring_server
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from serving.config.settings import Settings
from tests.live import ROOT, eventually

PARQUET = "application/vnd.apache.parquet"
RECORD: dict[str, Any] = {"size": 1.5, "count": 3, "new": True, "kind": "a"}
FRAME = pd.DataFrame([RECORD])
MATRIX = pd.DataFrame([[1.0, 2.0, 3.0]], columns=["a", "b", "c"])
INPUTS = Schema(
    [
        ColSpec("double", "size"),
        ColSpec("long", "count"),
        ColSpec("boolean", "new"),
        ColSpec("string", "kind"),
    ]
)
FILES: dict[str, tuple[str, Callable[[], pd.DataFrame], dict[str, Any]]] = {
    "the frame": ("frame", lambda: FRAME, {}),
    "a column more": ("frame", lambda: FRAME.assign(x=1), {}),
    "a column less": ("frame", lambda: FRAME.drop(columns="count"), {}),
    "`size` as float32": ("frame", lambda: FRAME.astype({"size": "float32"}), {}),
    "`count` as int32": ("frame", lambda: FRAME.astype({"count": "int32"}), {}),
    "`count` as float64": ("frame", lambda: FRAME.astype({"count": "float64"}), {}),
    "`size` as text": ("frame", lambda: FRAME.astype({"size": "str"}), {}),
    "`size` null": ("frame", lambda: FRAME.assign(size=[np.nan]), {}),
    "`kind` as category": ("frame", lambda: FRAME.astype({"kind": "category"}), {}),
    "compressed with zstd": ("frame", lambda: FRAME, {"compression": "zstd"}),
    "not compressed": ("frame", lambda: FRAME, {"compression": None}),
    "no rows": ("frame", lambda: FRAME[:0], {}),
    "three columns for the matrix": ("matrix", lambda: MATRIX, {}),
    "two columns for the matrix": ("matrix", lambda: MATRIX[["a", "b"]], {}),
}


class Scaled(mlflow.pyfunc.PythonModel):
    """A model whose signature declares parameters."""

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def] # noqa: ARG002
        """Return `size`, scaled and shifted by the parameters."""
        return model_input["size"].to_numpy() * params["scale"] + params["shift"]


def log(name: str) -> None:
    """Register the test model of that name."""
    rng = np.random.default_rng(0)
    options: dict[str, Any] = {"name": "model", "registered_model_name": f"protocol-{name}"}
    options["pip_requirements"] = []
    signature = ModelSignature(INPUTS, Schema([ColSpec("double")]))
    with mlflow.start_run():
        if name == "scaled":
            signature.params = ParamSchema(
                [ParamSpec("scale", "double", 1.0), ParamSpec("shift", "long", 3)]
            )
            mlflow.pyfunc.log_model(python_model=Scaled(), signature=signature, **options)
            return
        if name == "matrix":
            x = rng.uniform(0, 9, (200, 3))
            model: Any = LinearRegression().fit(x, x @ [1.0, 2.0, 3.0])
            signature = infer_signature(x, model.predict(x))
        else:
            x = pd.DataFrame(
                {
                    "size": rng.uniform(0, 9, 200),
                    "count": rng.integers(0, 9, 200),
                    "new": rng.random(200) > 0.5,
                    "kind": rng.choice(["a", "b"], 200),
                }
            )
            encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
            model = make_pipeline(
                make_column_transformer((encoder, ["kind"]), remainder="passthrough"),
                HistGradientBoostingRegressor(max_iter=5),
            ).fit(x, x["size"] * 2 + x["count"])
        types = skops.io.get_untrusted_types(data=skops.io.dumps(model))
        options["skops_trusted_types"] = types
        mlflow.sklearn.log_model(model, signature=signature, **options)


@contextmanager
def mlflow_serving(name: str) -> Iterator[str]:
    """Run the application of `mlflow models serve` on a free port; yield its URL."""
    app = scoring_server.init(mlflow.pyfunc.load_model(f"models:/protocol-{name}/1"))
    with socket.create_server(("127.0.0.1", 0)) as sock:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)


@pytest.fixture(scope="module")
def servers(
    mlflow_server: str,
    threaded: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, tuple[str, str]]]:
    """Yield the URLs of MLflow's server and of this one, by model."""
    mlflow.set_tracking_uri(mlflow_server)
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        # MLflow's application sets this variable and does not restore it.
        patch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")
        found = {}
        for name in ("frame", "matrix", "scaled"):
            log(name)
            MlflowClient().set_registered_model_alias(f"protocol-{name}", "champion", "1")
            folder = tmp_path_factory.mktemp(name)
            settings = Settings(
                mlflow_tracking_uri=mlflow_server,
                model_name=f"protocol-{name}",
                allow_pickle=True,
                inference_store=folder / "store",
                journal_dir=folder / "journal",
                log_file=folder / "app.log",
                model_cache=folder / "cache",
            )
            ours = stack.enter_context(threaded(settings)).wait_ready()
            found[name] = (stack.enter_context(mlflow_serving(name)), str(ours.http.base_url))
            theirs = found[name][0]
            eventually(lambda url=theirs: httpx.get(f"{url}/ping").status_code == 200, 60)
        yield found


class Row:
    """One row of the table: the request, and each server's documented status."""

    def __init__(self, section: str, cells: list[str]) -> None:
        """Store the section and the cells."""
        self.section = section
        self.sent, self.theirs, self.ours, self.why = cells
        self.code = self.sent.strip("`")

    def request(self) -> tuple[str, dict[str, Any]]:
        """Return the model's name and httpx's arguments for the request."""
        model, made = SECTIONS[self.section](self)
        return model, {"method": "POST", "url": "/invocations", **made}


def body(content: str | bytes, kind: str = "application/json") -> dict[str, Any]:
    """Return a request's body and its type."""
    data = content.encode() if isinstance(content, str) else content
    return {"content": data, "headers": {"Content-Type": kind}}


def document(text: str, kind: str = "application/json") -> dict[str, Any]:
    """Return a request whose body has RECORD, ROW, COLUMNS and BOM replaced."""
    words = {
        "RECORD": json.dumps(RECORD),
        "ROW": json.dumps(list(RECORD.values())),
        "COLUMNS": json.dumps(list(RECORD)),
        "BOM": "\ufeff",
    }
    return body(re.sub("RECORD|ROW|COLUMNS|BOM", lambda m: words[m[0]], text), kind)


def value(row: Row) -> tuple[str, dict[str, Any]]:
    """Return a request of a record with one value changed or left out."""
    if row.code.startswith("without "):
        record = {k: v for k, v in RECORD.items() if k != row.code.split()[1]}
    else:
        record = {**RECORD, **json.loads(f"{{{row.code}}}")}
    return "frame", body(json.dumps({"dataframe_records": [record]}))


def file(row: Row) -> tuple[str, dict[str, Any]]:
    """Return a request with a Parquet body."""
    model, frame, options = FILES[row.sent]
    written = io.BytesIO()
    frame().to_parquet(written, index=False, **options)
    return model, body(written.getvalue(), PARQUET)


def route(row: Row) -> tuple[str, dict[str, Any]]:
    """Return a request to another route or with another method."""
    method, url = row.code.split()
    return "frame", {"method": method, "url": url, "headers": {}}


def parameters(row: Row) -> tuple[str, dict[str, Any]]:
    """Return a request of a record with parameters, for the model that declares some."""
    given = json.loads(row.code)
    return "scaled", body(json.dumps({"dataframe_records": [RECORD], "params": given}))


SECTIONS: dict[str, Callable[[Row], tuple[str, dict[str, Any]]]] = {
    "A record with one value changed": value,
    "JSON": lambda row: ("frame", document(row.code)),
    "JSON for a model that takes a matrix": lambda row: ("matrix", document(row.code)),
    "Parameters": parameters,
    "CSV": lambda row: ("frame", document(row.code.replace("⏎", "\n"), "text/csv")),
    "Parquet": file,
    "Content-Type": lambda row: (
        "frame",
        body(json.dumps({"dataframe_records": [RECORD]}), row.code),
    ),
    "Routes": route,
}


def table() -> list[Row]:
    """Return the rows of the tables in docs/serving.md."""
    page = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    text = page.split("\n## What MLflow's server answers, and this one\n")[1].split("\n## ")[0]
    rows = []
    for part in text.split("\n### ")[1:]:
        section, *lines = part.splitlines()
        cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines if line.startswith("|")]
        rows += [Row(section, [c.strip().replace("\\|", "|") for c in row]) for row in cells[2:]]
    return rows


def send(server: str, request: dict[str, Any]) -> httpx.Response:
    """Send a request on a new connection, since a server may close one after a refusal."""
    return httpx.request(
        request["method"],
        server.rstrip("/") + request["url"],
        content=request.get("content"),
        headers=request["headers"],
        timeout=60,
    )


def answered(server: str, request: dict[str, Any]) -> tuple[int, Any]:
    """Return the response's status and its predictions, None unless it scored."""
    answer = send(server, request)
    scored = answer.status_code == 200 and request["url"] == "/invocations"
    return answer.status_code, answer.json()["predictions"] if scored else None


def test_the_table_says_what_both_servers_answer(
    servers: dict[str, tuple[str, str]],
) -> None:
    """Statuses are as documented, scores agree to 1e-12, and each difference has a reason.

    The table's sections and Parquet cases are those defined here.
    """
    rows, wrong = table(), []
    for row in rows:
        model, request = row.request()
        (theirs, expected), (ours, given) = (answered(c, request) for c in servers[model])
        if (str(theirs), str(ours)) != (row.theirs, row.ours):
            wrong.append(f"{row.section}: {row.sent}: {theirs} and {ours}")
        if (
            expected is not None
            and given is not None
            and not np.allclose(given, expected, rtol=0, atol=1e-12)
        ):
            wrong.append(f"{row.section}: {row.sent}: other numbers")
        if (theirs == 200) != (ours == 200) and not row.why:
            wrong.append(f"{row.section}: {row.sent}: no reason")
    assert not wrong, "\n".join(wrong)
    assert {row.section for row in rows} == set(SECTIONS)
    assert {row.sent for row in rows if row.section == "Parquet"} == set(FILES)
    assert len(rows) >= 100


def test_no_refusal_repeats_a_value(
    servers: dict[str, tuple[str, str]],
) -> None:
    """A refusal here (422) names the field only; MLflow's (400) repeats the value."""
    record = {**RECORD, "size": "SECRET"}
    request = {"method": "POST", "url": "/invocations"}
    request |= body(json.dumps({"dataframe_records": [record]}))
    theirs, ours = (send(server, request) for server in servers["frame"])
    assert (theirs.status_code, ours.status_code) == (400, 422)
    assert "SECRET" in theirs.text
    assert "SECRET" not in ours.text
    assert "size" in ours.text
