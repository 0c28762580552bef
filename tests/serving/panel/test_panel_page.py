"""`/painel` of a live server, with MLflow data written by the commands, in a browser."""

import base64
import html
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import matplotlib.image
import numpy as np
import pytest

from serving.config.settings import Settings
from tests.live import Gate, run_here, wait_for

ROW = {"temperature": 21.5, "pressure": 1003.25, "wear": 2}
KEY = "a key for operators"
REASON = "melhor <b>recall</b> & mais"


class Site:
    """A proxy of two workers with API keys, and the commands for its model."""

    def __init__(self, proxy: Any, name: str) -> None:
        """Store the proxy and its model's name."""
        self.proxy, self.name = proxy, name
        self.address = str(proxy.http.base_url).rstrip("/")

    def run(self, *command: str) -> str:
        """Run one of the project's commands on this model; return its output."""
        store = str(self.proxy.settings.inference_store)
        return run_here(command, {"MODEL_NAME": self.name, "INFERENCE_STORE": store})

    def page(self, **query: str) -> str:
        """Return the page's HTML."""
        answer = self.proxy.http.get("/painel", params=query, headers={"X-API-Key": KEY})
        assert answer.status_code == 200
        return answer.text


@pytest.fixture(scope="module")
def site(
    mlflow_server: str,
    register_version: Callable[..., int],
    tmp_path_factory: pytest.TempPathFactory,
    free_port: Callable[[], int],
    spawned: Callable[..., Any],
    eventually: Callable[..., Any],
) -> Iterator[Site]:
    """Yield a site whose v1.1.0 was promoted by command, and whose inputs have drifted."""
    name = f"panel-machine-{os.getpid()}"
    folder = tmp_path_factory.mktemp("panel")
    register_version(name, "v1.0.0", threshold=0.25)
    register_version(name, "v1.1.0", seed=1, alias=None)
    settings = Settings(
        mlflow_tracking_uri=mlflow_server,
        model_name=name,
        poll_seconds=0.2,
        inference_store=folder / "store",
        capture_flush_seconds=0.5,
        log_file=folder / "app.log",
        model_cache=folder / "cache",
    )
    with spawned(settings, free_port(), "--workers", "2", API_KEYS=KEY) as (process, proxy):
        found = Site(proxy, name)
        found.run(
            *("mlflow_project.registry", "promote", "--model_version", "v1.1.0"),
            *("--reason", REASON),
        )
        found.run("monitoring.build_baseline", "--model_version", "v1.1.0")
        wait_for(f"{found.address}/ready", 120, process)
        headers = {"X-API-Key": KEY}

        def served() -> bool:
            numbers = proxy.http.get("/metrics", headers=headers).text
            return 'model_version="v1.1.0",registry_version="2",source="registry"} 2.0' in numbers

        eventually(served, 60)
        rng = np.random.default_rng(0)
        for _ in range(60):
            rows = [{**ROW, "temperature": float(t)} for t in rng.normal(45, 3, 3)]
            assert proxy.predict(*rows, headers=headers).status_code == 200
        eventually(lambda: not proxy.journals() or _pending(proxy) == 0)
        out = str(folder / "reports")
        found.run("monitoring.drift_report", "--last_n_days", "1", "--output", out)
        # A worker caches what it read for ten seconds.
        eventually(lambda: "Vermelho" in found.page(), 30)
        yield found


def _pending(proxy: Any) -> int:
    pending: int = proxy.health()["capture"]["pending"]
    return pending


def test_the_page_tells_what_the_commands_did(site: Site, eventually: Callable[..., Any]) -> None:
    """The page shows release, flip, capture, requests and verdict of both workers and MLflow."""
    eventually(lambda: "180 linhas" in site.page())
    page = html.unescape(site.page())
    assert f"{site.name} v1.1.0 no ar" in page
    assert re.search(r"promoção por \S+: " + re.escape(REASON), page)
    assert "v1.0.0 → v1.1.0; limiar 0,2500 → 0,5000" in page
    assert "2 processos com v1.1.0" in page
    assert "0 de 60 pedidos" in page
    assert "nº 2, o servido" in page
    assert "perdidas desde o início do servidor: 0" in page
    assert "Drift vermelho: investigar a causa em até 4 horas" in page
    assert "Mudança forte em Bearing (temperature)" in page
    assert "<b>recall</b>" not in site.page()


def test_the_report_opens_through_the_proxy_and_harmlessly(site: Site) -> None:
    """The page's link serves the logged HTML report, sandboxed; other paths return 404."""
    (link,) = set(re.findall(r'href="(painel/drift/[0-9a-f]{32})"', site.page()))
    headers = {"X-API-Key": KEY}
    answer = site.proxy.http.get(f"/{link}", headers=headers)
    assert answer.status_code == 200
    assert "Mudança forte em Bearing (temperature)" in answer.text
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "script-src" not in answer.headers["content-security-policy"]
    run = link.rsplit("/", 1)[1]
    assert site.page().count(f"/runs/{run}") == 2
    for missing in (f"performance/{run}", f"drift/{'0' * 32}", f"logs/{run}", "drift/..%2f.."):
        answer = site.proxy.http.get(f"/painel/{missing}", headers=headers)
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "not_found"


def test_a_run_of_another_experiment_is_not_shown(site: Site, mlflow_server: str) -> None:
    """Runs of other experiments return 404: a key gives access to this model's reports only."""
    import mlflow

    mlflow.set_experiment("somebody-else")
    with mlflow.start_run() as run:
        mlflow.log_text("<p>secret</p>", "drift/report.html")
    answer = site.proxy.http.get(f"/painel/drift/{run.info.run_id}", headers={"X-API-Key": KEY})
    assert answer.status_code == 404


def test_a_browser_is_asked_for_the_key(site: Site) -> None:
    """Basic authentication opens pages with the key as password, but not /predict."""

    def basic(text: str) -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}

    http = site.proxy.http
    refused = http.get("/painel")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == 'Basic realm="painel", charset="UTF-8"'
    assert refused.json()["error"]["code"] == "unauthorized"
    for good in (basic(f"anyone:{KEY}"), {"Authorization": f"Bearer {KEY}"}):
        assert http.get("/painel", headers=good).status_code == 200
    for bad in (basic("anyone:other"), basic(KEY), {"Authorization": "Basic ***"}, basic("a:")):
        assert http.get("/painel", headers=bad).status_code == 401
    asked = http.post("/predict", json={"instances": [ROW]}, headers=basic(f"a:{KEY}"))
    assert asked.status_code == 401
    assert asked.headers["www-authenticate"] == "Bearer"
    assert http.get("/painel/drift/x", headers=basic(f"a:{KEY}")).status_code == 404


def test_it_looks_as_it_should_in_a_browser(site: Site, tmp_path: Path) -> None:
    """Chromium opens the page with Basic, applies the style sheet, logs no error, and prints."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here")
    address = site.address.replace("http://", f"http://operator:{KEY.replace(' ', '%20')}@")

    def look(*options: str) -> subprocess.CompletedProcess[str]:
        command = [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu"),
            *("--disable-background-networking", "--hide-scrollbars", "--enable-logging=stderr"),
            *(f"--user-data-dir={tmp_path / 'profile'}", *options, f"{address}/painel"),
        ]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    picture, paper = tmp_path / "phone.png", tmp_path / "page.pdf"
    seen = look(f"--screenshot={picture}", "--window-size=500,1400")
    assert "Content Security Policy" not in seen.stderr
    assert "CONSOLE" not in seen.stderr
    pixels = np.round(255 * matplotlib.image.imread(picture)[:, :, :3]).astype(int)
    red = (pixels == (251, 228, 226)).all(axis=2)
    # The red header spans the width of a phone, so the policy allowed the style sheet.
    assert red.any(axis=0).mean() > 0.8
    look(f"--print-to-pdf={paper}")
    assert paper.read_bytes().startswith(b"%PDF")


def test_without_mlflow_the_page_still_opens_and_says_so(
    register_version: Callable[..., int],
    new_model: Callable[[], str],
    start: Callable[..., Any],
    gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without MLflow the page keeps the data read before; a report returns 503."""
    monkeypatch.setattr("serving.panel.page.HISTORY_SECONDS", 0.0)
    name = new_model()
    register_version(name)
    proxy = start(name, mlflow_tracking_uri=gate.uri).wait_ready()
    before = proxy.http.get("/painel").text
    assert "fora dos comandos, ainda sem registro" in before
    assert "Nenhum relatório ainda." in before
    gate.shut()
    proxy.wait_for(registry_reachable=False)
    page = html.unescape(proxy.http.get("/painel").text)
    assert f"Atenção: {name} v1.0.0 no ar" in page
    assert f"o MLflow em {gate.uri} não responde" in page
    assert "fora dos comandos, ainda sem registro" in page
    missing = proxy.http.get(f"/painel/drift/{'a' * 32}")
    assert missing.status_code == 503
    assert missing.json()["error"]["code"] == "registry_unreachable"
    assert proxy.predict(ROW).status_code == 200


def test_an_mlflow_that_hangs_holds_up_neither_page_nor_predictions(
    register_version: Callable[..., int],
    new_model: Callable[[], str],
    start: Callable[..., Any],
    gate: Gate,
    free_port: Callable[[], int],
) -> None:
    """With an unresponsive MLflow the page opens after one timeout; /predict responds."""
    name = new_model()
    register_version(name)
    proxy = start(name, mlflow_tracking_uri=gate.uri, poll_seconds=3600.0).wait_ready()
    gate.shut()
    with socket.create_server(("127.0.0.1", int(gate.uri.rsplit(":", 1)[1])), backlog=64):
        began = time.monotonic()
        with httpx.Client(base_url=proxy.http.base_url, timeout=20) as client:
            page = client.get("/painel").text
            took = time.monotonic() - began
            again = time.monotonic()
            assert client.get("/painel").status_code == 200
            assert time.monotonic() - again < 2.0, "it waits once, not at every look"
            assert client.post("/predict", json={"instances": [ROW]}).status_code == 200
    assert took < 6.0
    assert "o MLflow não respondeu em 3 segundos" in page
    assert "quem a pôs no ar só o MLflow sabe" in page


def test_the_page_renews_itself_only_when_a_screen_asks(site: Site) -> None:
    """The page refreshes only with `refresh`, at least every 10 s; invalid values are ignored."""
    for query in ({}, {"refresh": ""}, {"refresh": "often"}, {"refresh": "-5"}):
        page = site.page(**query)
        assert "http-equiv" not in page
        assert '<a href="">Atualizar</a>' in page
    for asked, given in (("60", 60), ("1", 10)):
        page = site.page(refresh=asked)
        assert f'<meta http-equiv="refresh" content="{given}">' in page
        assert f"renova-se a cada {given} segundos" in page
