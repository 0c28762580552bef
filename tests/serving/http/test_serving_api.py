"""The proxy's HTTP API on a live server with a live registry."""

import json
import re
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from starlette.routing import Route

from serving.app import create_app
from serving.config.settings import Settings
from serving.http.auth import DOCS, OPENAPI
from serving.http.pages import LIST, PAGE, RUNBOOK, pages_of

ROW = {"temperature": 21.5, "pressure": 1003.25, "wear": 2}
SECRET = "SERIAL-SECRET"
NUMBER = 987654.321


def random_rows(n: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return n valid instances, every third without a pressure."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "temperature": rng.normal(20, 5, n),
            "pressure": rng.uniform(900, 1100, n),
            "wear": rng.integers(0, 9, n),
        }
    )
    rows = frame.to_dict("records")
    for row in rows[::3]:
        row["pressure"] = None
    return rows


def test_an_answer_has_the_promised_shape(proxy: Any) -> None:
    """The response has the contract's output names, release, threshold, request id and time."""
    answer = proxy.predict({**ROW, "serial": "S-1"})
    body = answer.json()
    assert answer.status_code == 200
    assert list(body) == [
        *("predictions", "model_version", "threshold", "request_id", "processing_time_ms")
    ]
    (prediction,) = body["predictions"]
    assert list(prediction) == ["failure_score", "failure_label", "model_version"]
    assert prediction["failure_label"] == int(prediction["failure_score"] >= 0.25)
    assert (body["model_version"], prediction["model_version"]) == ("v1.2.0", "v1.2.0")
    assert body["threshold"] == 0.25
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["processing_time_ms"] > 0


@pytest.mark.parametrize("n", [1, 64, 300])
def test_scores_equal_those_of_pyfunc(proxy: Any, n: int) -> None:
    """The same rows get the same scores as from mlflow.pyfunc, in small and large requests."""
    import mlflow

    rows = random_rows(n)
    model = mlflow.pyfunc.load_model(f"models:/{proxy.settings.model_name}/1")
    expected = model.predict(pd.DataFrame(rows).astype(float))[:, 1]
    answer = proxy.predict(*rows).json()
    scores = [prediction["failure_score"] for prediction in answer["predictions"]]
    assert np.abs(np.array(scores) - expected).max() <= 1e-12


def test_concurrent_requests_get_their_own_scores(proxy: Any) -> None:
    """Concurrent requests get the scores of their own rows."""
    rows = random_rows(120, seed=1)
    alone = [proxy.predict(row).json()["predictions"][0]["failure_score"] for row in rows]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda row: proxy.predict(row).json(), rows))
    together = [answer["predictions"][0]["failure_score"] for answer in answers]
    assert together == pytest.approx(alone, abs=1e-12)


def test_year_suffixes_give_the_same_score(proxy: Any) -> None:
    """Field names with one year suffix score like plain ones; two different years are refused."""
    plain = proxy.predict({"temperature": 25, "wear": 3})
    dated = proxy.predict({"temperature_2023": 25, "wear_2023": 3})
    assert dated.json()["predictions"] == plain.json()["predictions"]
    answer = proxy.predict({"temperature_2022": 25, "wear_2023": 3})
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "validation_failed"


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"{", 400, "invalid_json"),
        (b'{"instances": [{"wear": 1, "wear": 2}]}', 400, "duplicate_key"),
        (b'{"instances": []}', 422, "validation_failed"),
        (json.dumps({"instances": [ROW] * 301}).encode(), 422, "validation_failed"),
        (b'{"instances": [{"wear": NaN}]}', 422, "validation_failed"),
        (b'{"instances": [{"wear": Infinity}]}', 422, "validation_failed"),
        (b'{"instances": [{"wear": 1, "color": 1}]}', 422, "validation_failed"),
        (b" " * 200_001, 413, "body_too_large"),
    ],
)
def test_a_refused_body_has_the_one_error_shape(
    proxy: Any, content: bytes, status: int, code: str
) -> None:
    """Every refused body has its error code and the request id in the common error shape."""
    answer = proxy.http.post("/predict", content=content)
    assert answer.status_code == status
    check_error(answer, code)


def check_error(answer: httpx.Response, code: str) -> None:
    """Assert that a response has the common error shape and this code."""
    body = answer.json()
    assert set(body) == {"error", "request_id"}
    assert set(body["error"]) == {"code", "message", "details"}
    assert body["error"]["code"] == code
    assert body["request_id"] == answer.headers["x-request-id"]
    for detail in body["error"]["details"]:
        assert set(detail) == {"instance", "field", "problem", "allowed"}


def test_a_body_without_a_length_is_limited_too(proxy: Any) -> None:
    """The size limit applies to a chunked body without Content-Length."""
    answer = proxy.http.post("/predict", content=(b" " * 50_000 for _ in range(10)))
    assert answer.status_code == 413
    check_error(answer, "body_too_large")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/predict", 405, "method_not_allowed"),
        ("POST", "/health", 405, "method_not_allowed"),
        ("GET", "/nothing", 404, "not_found"),
        ("POST", "/predict/", 404, "not_found"),
    ],
)
def test_router_refusals_have_the_one_error_shape(
    proxy: Any, method: str, path: str, status: int, code: str
) -> None:
    """A wrong path or method has the common error shape."""
    answer = proxy.http.request(method, path)
    assert answer.status_code == status
    check_error(answer, code)


def test_values_are_in_no_answer_and_no_log(proxy: Any, eventually: Callable[..., Any]) -> None:
    """Values and unknown names of refused requests appear neither in responses nor in the log."""
    bodies: list[Any] = [
        {"instances": [{**ROW, "temperature": NUMBER, "serial": SECRET}]},
        {"instances": [{**ROW, "temperature": str(NUMBER)}]},
        {"instances": [{**ROW, "serial": {SECRET: NUMBER}}]},
        {"instances": [{**ROW, SECRET: NUMBER}]},
        {"instances": SECRET},
        {SECRET: [ROW]},
        [SECRET, NUMBER],
    ]
    contents = [json.dumps(body).encode() for body in bodies]
    contents += [contents[0][:-2], contents[0] + SECRET.encode(), SECRET.encode()]
    for content in contents:
        answer = proxy.http.post("/predict", content=content)
        assert answer.status_code in (400, 422)
        assert SECRET not in answer.text
        assert str(NUMBER) not in answer.text
    proxy.http.get(f"/predict/{SECRET}", params={"serial": SECRET})
    proxy.http.get("/health", params={"serial": SECRET}, headers={"X-Request-ID": "the-last"})
    eventually(lambda: any(line.get("request_id") == "the-last" for line in proxy.log()))
    text = proxy.settings.log_file.read_text("utf-8")
    assert SECRET not in text
    assert str(NUMBER) not in text


@pytest.mark.parametrize("sent", ["abc123", "a.b_c-D", "x" * 64])
def test_a_sane_request_id_is_honoured(
    proxy: Any, sent: str, eventually: Callable[..., Any]
) -> None:
    """A valid X-Request-ID is returned in header and body and is logged."""
    answer = proxy.predict(ROW, headers={"X-Request-ID": sent})
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == sent
    eventually(lambda: any(line.get("request_id") == sent for line in proxy.log()))


@pytest.mark.parametrize("sent", ["", "x" * 65, "a b", 'a"b', "a/b", None])
def test_another_request_id_is_made(proxy: Any, sent: str | None) -> None:
    """A missing or invalid X-Request-ID is replaced by a generated one, also on errors."""
    headers = {} if sent is None else {"X-Request-ID": sent}
    for answer in (proxy.predict(ROW, headers=headers), proxy.predict({}, headers=headers)):
        assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])


@pytest.mark.parametrize(
    "path", ["/health", "/ready", "/metadata", "/metrics", "/ping", "/version", "/painel", "/docs"]
)
def test_head_is_answered_where_get_is(proxy: Any, path: str) -> None:
    """HEAD has GET's status and content type and no body, for load balancers."""
    asked, head = proxy.http.get(path), proxy.http.head(path)
    assert (head.status_code, head.content) == (asked.status_code, b"")
    assert head.headers["content-type"] == asked.headers["content-type"]
    assert proxy.http.head("/predict").status_code == 405


def test_health_has_the_promised_shape(proxy: Any) -> None:
    """/health has the documented keys, the version, the alias and the capture counters."""
    proxy.predict(ROW)
    health = proxy.health()
    assert list(health) == [
        *("status", "model_loaded", "model_version", "registry_version", "model_source"),
        *("alias", "alias_version", "threshold_source", "registry_reachable", "capture"),
        *("shadow", "canary", "uptime_seconds", "reasons"),
    ]
    assert health["shadow"] is None
    assert health["canary"] is None
    assert set(health["capture"]) == {"captured", "pending", "lost"}
    assert health["capture"]["captured"] > 0
    assert (health["status"], health["reasons"]) == ("healthy", [])
    assert (health["registry_version"], health["alias_version"]) == (1, 1)
    assert (health["alias"], health["threshold_source"]) == ("champion", "metadata")


def test_metadata_describes_the_served_version(proxy: Any) -> None:
    """/metadata has the contract, signature, metrics and training time."""
    metadata = proxy.http.get("/metadata").json()
    assert list(metadata) == [
        *("model_name", "model_version", "registry_version", "model_source", "run_id", "alias"),
        *(
            "threshold",
            "threshold_source",
            "features",
            "horizon",
            "period_field",
            "year_suffixes",
            "signature",
            "metrics",
            "trained_at",
            "baseline",
        ),
    ]
    assert metadata["features"][0] == {
        "name": "temperature",
        "type": "double",
        "unit": "°C",
        "min": -50,
        "max": 100,
        "nullable": True,
        "description": "Bearing",
        "values": [],
        "required": False,
    }
    stated = (metadata["horizon"], metadata["period_field"], metadata["year_suffixes"])
    assert stated == (1, None, True)
    assert metadata["metrics"]["test_roc_auc"] == 0.9
    assert [column["name"] for column in metadata["signature"]["inputs"]] == [
        *("temperature", "pressure", "wear")
    ]
    assert metadata["baseline"] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", metadata["trained_at"])


def test_openapi_shows_the_served_contract(proxy: Any) -> None:
    """The OpenAPI example is accepted with the shown response; /docs loads only local files."""
    page = proxy.http.get("/docs")
    assert page.status_code == 200
    for script in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert script.startswith("/"), "the page must open where there is no internet"
        assert proxy.http.get(script).status_code == 200
    document = proxy.http.get("/openapi.json").json()
    content = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    fields = content["schema"]["properties"]["instances"]["items"]
    assert set(fields["properties"]) == {"temperature", "pressure", "wear", "serial"}
    assert fields["required"] == ["wear"]
    answer = proxy.http.post("/predict", json=content["example"])
    assert answer.status_code == 200
    said = document["paths"]["/predict"]["post"]["responses"]["200"]["content"]["application/json"]
    promised, given = said["example"]["predictions"], answer.json()["predictions"]
    assert promised == [{**given[0], "failure_score": pytest.approx(given[0]["failure_score"])}]
    assert (said["example"]["threshold"], set(said["example"])) == (0.25, set(answer.json()))


def test_openapi_says_what_every_route_answers(proxy: Any) -> None:
    """Each route's actual responses have a documented status, content type and keys."""
    document = proxy.http.get("/openapi.json").json()
    example = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    bodies = [example["example"], {}, {"instances": [{}]}, {"dataframe_records": [ROW]}]
    for path, item in document["paths"].items():
        for method, operation in item.items():
            for body in bodies if method == "post" else [None]:
                answer = proxy.http.request(method, path, json=body)
                said = operation["responses"][str(answer.status_code)]
                kind = answer.headers["content-type"].split(";")[0]
                assert kind in said["content"], (path, answer.status_code)
                schema = said["content"][kind]["schema"]
                if "properties" in schema:
                    assert set(answer.json()) == set(schema["required"]), path
    own = (DOCS, OPENAPI, f"{RUNBOOK}/")
    assert set(document["paths"]) == {path for path in paths(proxy) if not path.startswith(own)}


def paths(proxy: Any) -> set[str]:
    """Return the route paths of a proxy."""
    routes = create_app(proxy.settings).routes
    return {route.path for route in routes if isinstance(route, Route)}


def test_every_page_opens_in_a_browser_under_a_policy(proxy: Any) -> None:
    """Every HTML page but /docs is in `pages_of` and has a content security policy."""
    pages, known = set(), pages_of(create_app(proxy.settings).routes)
    for path in paths(proxy):
        answer = proxy.http.get(path)
        html = answer.headers.get("content-type", "").startswith("text/html")
        if html and not path.startswith(DOCS):
            pages.add(path)
            assert path in known, path
            assert "default-src 'none'" in answer.headers["content-security-policy"], path
    assert pages >= {PAGE, LIST, RUNBOOK}


@pytest.mark.parametrize("path", ["/health", "/predict", "/nothing", "/painel"])
def test_every_answer_bears_the_security_headers(proxy: Any, path: str) -> None:
    """Every response, also an error, has the security headers."""
    headers = proxy.http.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


def test_a_body_that_does_not_come_is_not_waited_for(
    proxy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body that does not arrive within BODY_SECONDS gets a 408."""
    monkeypatch.setattr("serving.http.bodies.BODY_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", proxy.http.base_url.port), timeout=10) as sock:
        sock.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        answer = sock.recv(65536)
    assert answer.startswith(b"HTTP/1.1 408")


def test_keys_protect_all_but_the_probes(
    register_version: Callable[..., int],
    new_model: Callable[[], str],
    start: Callable[..., Any],
) -> None:
    """With API_KEYS, either header authorizes; /health and /ready need no key."""
    name = new_model()
    register_version(name)
    digests = Settings(api_keys="first,second").api_keys
    proxy = start(name, api_keys=digests).wait_ready()
    assert proxy.http.get("/health").status_code == 200
    good: list[dict[str, str]] = [
        {"X-API-Key": "first"},
        {"Authorization": "Bearer second"},
        {"authorization": "bearer first"},
    ]
    bad: list[dict[str, str]] = [
        {},
        {"X-API-Key": "third"},
        {"X-API-Key": ""},
        {"X-API-Key": "first,second"},
        {"Authorization": "first"},
        {"Authorization": "Basic first"},
    ]
    for headers in good:
        assert proxy.predict(ROW, headers=headers).status_code == 200
    for headers in bad:
        for answer in (
            proxy.predict(ROW, headers=headers),
            proxy.http.get("/metadata", headers=headers),
        ):
            assert answer.status_code == 401
            check_error(answer, "unauthorized")


def test_before_a_model_is_there_the_proxy_lives_but_is_not_ready(
    new_model: Callable[[], str], start: Callable[..., Any]
) -> None:
    """Without a model /health returns 200 with the reason; other routes return 503."""
    proxy = start(new_model())
    health = proxy.wait_for(registry_reachable=True)
    assert (health["status"], health["model_loaded"]) == ("degraded", False)
    assert "não existe" in health["reasons"][0]
    for answer in (
        proxy.http.get("/ready"),
        proxy.http.get("/metadata"),
        proxy.predict(ROW),
    ):
        assert answer.status_code == 503
        check_error(answer, "not_ready")
        assert "não existe" in answer.json()["error"]["message"]
    assert proxy.http.get("/openapi.json").status_code == 200
