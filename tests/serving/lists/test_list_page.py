"""`/lista` and `/painel` in a browser: upload a workbook, download the list, see the counts."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from openpyxl import load_workbook

from data.synthetic import generate_workbook, write_workbook
from mlflow_project.lists import read
from serving.config.settings import Settings
from tests.chromium import EXECUTABLE, Browser
from tests.live import SAMPLE
from tests.pede_version import register_pede
from tests.stored import read_journal

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="no Chromium here")
KEY = "a key for coordinators"


@pytest.fixture(scope="module")
def workbook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of the sample workbook, or of a synthetic one where it is absent."""
    if SAMPLE.exists():
        return SAMPLE
    path = tmp_path_factory.mktemp("workbook") / "pede.xlsx"
    write_workbook(generate_workbook(300, 1), path)
    return path


@pytest.fixture(scope="module")
def model(mlflow_server: str, workbook: Path) -> str:
    """Return the name of a model for the workbook reader's features."""
    return register_pede("list-page", workbook)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """Yield a headless browser with this test's folder."""
    with Browser(tmp_path) as found:
        yield found


def page(proxy: Any, path: str) -> str:
    """Return a page's URL with user and key."""
    address = str(proxy.http.base_url).rstrip("/")
    return address.replace("http://", f"http://any:{KEY.replace(' ', '%20')}@") + path


def test_a_workbook_becomes_a_list_without_a_terminal(
    model: str,
    workbook: Path,
    start: Callable[..., Any],
    browser: Browser,
    eventually: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """A chosen workbook is scored and downloaded, captured without names, counted on the panel."""
    sheet = read(workbook.read_bytes())
    keys = Settings(api_keys=KEY).api_keys
    settings = {"sheet_reader": "mlflow_project.lists", "panel_group": "fase", "api_keys": keys}
    proxy = start(model, **settings, pseudonym_key="k").wait_ready()
    browser.open(page(proxy, "/lista"))
    browser.choose_file("#file", workbook)
    browser.value("document.getElementById('go').click()")
    text = "document.getElementById('{}').textContent"
    browser.wait("!document.getElementById('go').disabled", 120)
    assert browser.value(text.format("state")) == "Pronto: a lista foi baixada."
    read_, scored = len(sheet.rows) + len(sheet.unscored), len(sheet.rows)
    counts = browser.value(text.format("counts"))
    assert counts.startswith(f"Ano {sheet.year}: {read_} lidos, {scored} pontuados, ")
    shown = browser.value("document.getElementById('problems').tBodies[0].rows.length")
    assert shown == len(sheet.problems)
    browser.picture(tmp_path / "lista.png")
    (path,) = eventually(lambda: list(browser.downloads.glob("*.xlsx")))
    assert path.name == f"lista-{sheet.year}-v1.2.0.xlsx"
    rows = [row for ws in load_workbook(path).worksheets for row in ws.iter_rows(values_only=True)]
    written = "\n".join(str(row) for row in rows)
    assert all(labels["RA"] in written for labels in sheet.labels)
    headers = {"X-API-Key": KEY}
    assert proxy.http.get("/health", headers=headers).json()["capture"]["captured"] == scored
    (journal,) = proxy.journals()
    header, lines = read_journal(journal)
    assert header.constants["role"] == "batch"
    stored = pd.DataFrame(lines, columns=list(header.columns))
    assert set(stored["period"]) == {sheet.year}
    assert not {labels["RA"] for labels in sheet.labels} & set(stored["entity"])
    browser.open(page(proxy, "/painel"))
    panel = "document.body.innerText.replace(/\\s+/g, ' ')"
    total = f"todos {scored} {int(stored['label'].sum())} "
    counted = f"{panel}.includes('Pontuados em {sheet.year}') && {panel}.includes('{total}')"
    eventually(lambda: browser.value(counted) or browser.open(page(proxy, "/painel")), 90)
    browser.picture(tmp_path / "painel.png", height=1600)
    assert not browser.errors


def test_what_is_wrong_is_said_on_the_page(
    model: str, start: Callable[..., Any], browser: Browser, tmp_path: Path
) -> None:
    """A file that is no workbook shows an error message and enables the button again."""
    proxy = start(model, sheet_reader="mlflow_project.lists").wait_ready()
    wrong = tmp_path / "wrong.xlsx"
    wrong.write_bytes(b"PK\x03\x04 nothing")
    browser.open(f"{str(proxy.http.base_url).rstrip('/')}/lista")
    browser.choose_file("#file", wrong)
    browser.value("document.getElementById('go').click()")
    browser.wait("document.getElementById('state').textContent.startsWith('Sem lista: ')")
    assert browser.value("document.getElementById('again').className") == "verdict red"
    assert browser.value("document.getElementById('result').hidden")
    assert not browser.value("document.getElementById('go').disabled")
