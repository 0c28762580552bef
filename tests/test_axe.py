"""Every page passes axe-core, the checker of the Web Content Accessibility Guidelines."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment, Template

from core.messages import _
from mlflow_project.runs.document import page
from monitoring.pages.performance_page import render as render_performance
from monitoring.pages.shadow_page import render as render_shadow
from monitoring.performance.agreement import agree, pair
from serving.config.settings import Settings
from serving.deployment.deployment import Deployment
from serving.documents.page import render as render_document
from serving.lists.page import render as render_list
from serving.metrics.counters import Metrics
from serving.metrics.kept import DayLevels
from serving.metrics.slo import ServiceTally
from serving.panel.history import FlipEffect, History
from serving.panel.page import render as render_panel
from serving.telemetry.logs import JsonLog
from tests.chromium import EXECUTABLE, Browser
from tests.live import ROOT
from tests.monitoring.pages.test_drift_page import page as drift_page
from tests.monitoring.pages.test_performance_page import judged
from tests.monitoring.performance.test_agreement import facts as shadow_facts
from tests.monitoring.performance.test_agreement import many
from tests.monitoring.replay.test_result import rendered as rehearsal
from tests.serving.panel.test_panel import change, daily, facts, history, report

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def axe() -> Path | None:
    """Return the path of axe-core's script: AXE_CORE, or the one in the locked package."""
    if asked := os.environ.get("AXE_CORE"):
        return Path(asked)
    found = find_spec("axe_playwright_python")
    return Path(str(found.origin)).with_name("axe.min.js") if found else None


SCRIPT = axe()
needs_chromium = pytest.mark.skipif(EXECUTABLE is None, reason="no chromium here")
needs_axe = pytest.mark.skipif(
    SCRIPT is None, reason="no axe-core here: requirements-dev.lock has it"
)


def panel(status: str) -> str:
    """Return the panel with all its parts: reports (the newest of this status), a flip, a day."""
    reports = [daily(0, status=status), daily(1, status="GREEN"), report("performance", "OK")]
    effect = FlipEffect("v1.1.0", "v1.2.0", (0.25, 0.4), ("wear",), ())
    reading = history(*reports)
    known: History = replace(reading.value, effect=effect, changes=(change(),))
    levels = DayLevels(date(2026, 3, 2), ServiceTally(1200, 3, 86_400.0, 60.0, (1190, 7, 3)))
    return render_panel(facts(reading=replace(reading, value=known), days=(levels,)))


def lists() -> str:
    """Return the page of lists of a proxy without a version."""
    settings = Settings(sheet_reader="mlflow_project.lists")
    log, metrics = JsonLog(Path("-")), Metrics(None, dict)
    return render_list(Deployment(settings, log, metrics))


def card() -> str:
    """Return a model card with a part of each kind."""
    table = f"| {_('Rows')} | {_('Reason')} |\n| --- | --- |\n| 1 | a |\n| 2 | b |"
    return page(f"# v1.0.0\n\n**a** `b`\n\n## b\n\n- c\n\n{table}\n")


def shadow() -> str:
    """Return a shadow report."""
    paired = pair(*many(200, 2, 0.1))
    return render_shadow(agree(paired), paired, shadow_facts())


PAGES: dict[str, Callable[[], str]] = {
    "panel-green": lambda: panel("GREEN"),
    "panel-red": lambda: panel("RED"),
    "panel-grey": lambda: render_panel(facts(reading=history())),
    "list": lists,
    "runbook": lambda: render_document("RUNBOOK.md", ""),
    "drift": lambda: drift_page(200, 2.0),
    "performance": lambda: render_performance(*judged(200)),
    "rehearsal": rehearsal,
    "shadow": shadow,
    "card": card,
}


def test_every_template_of_a_page_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """`PAGES` renders every HTML template, so that each page is checked."""
    used = set()
    render_document.cache_clear()
    get = Environment.get_template

    def noted(self: Environment, name: str, *args: Any, **kwargs: Any) -> Template:
        template = get(self, name, *args, **kwargs)
        used.add(Path(str(template.filename)))
        return template

    monkeypatch.setattr(Environment, "get_template", noted)
    for make in PAGES.values():
        make()
    found = [
        path
        for package in ("core", "serving", "monitoring", "mlflow_project")
        for path in (ROOT / package).rglob("templates/*.html")
    ]
    assert set(found) <= used


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Yield a browser."""
    with Browser(tmp_path_factory.mktemp("axe")) as running:
        yield running


def violations(browser: Browser, page: Path) -> list[str]:
    """Return the violations on a page, light and dark, wide and narrow, with their elements."""
    found = []
    browser.open(page.as_uri())
    assert SCRIPT is not None
    browser.value(SCRIPT.read_text("utf-8") + "; 1")
    for width in (1200, 390):
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.call("Emulation.setDeviceMetricsOverride", **size)
        for theme in ("light", "dark"):
            feature = {"name": "prefers-color-scheme", "value": theme}
            browser.call("Emulation.setEmulatedMedia", features=[feature])
            browser.value("window.told = undefined")
            browser.value(
                f"axe.run(document, {{runOnly: {RULES}}}).then(r => {{ window.told ="
                " r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html + ' ' +"
                " n.failureSummary).slice(0, 3).join(' | ')) })"
            )
            browser.wait("window.told !== undefined", 120)
            found += [f"{width} {theme} {one}" for one in browser.value("window.told")]
    return found


@pytest.mark.slow
@needs_chromium
@needs_axe
@pytest.mark.parametrize("language", ["pt_BR", "en"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(
    name: str, language: str, browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No page has violations in either language, light or dark, at desktop or phone width."""
    monkeypatch.setenv("APP_LANGUAGE", language)
    path = tmp_path / f"{name}.html"
    path.write_text(PAGES[name](), encoding="utf-8")
    assert violations(browser, path) == []


@pytest.mark.slow
@needs_chromium
@needs_axe
def test_the_checker_checks(browser: Browser, tmp_path: Path) -> None:
    """A faulty page is reported: low contrast, missing language, image without alt text."""
    path = tmp_path / "bad.html"
    path.write_text(
        "<html><body><p style='color:#ccc;background:#fff'>pale words</p><img src='a.png'>"
    )
    found = " ".join(violations(browser, path))
    for fault in ("color-contrast", "html-has-lang", "image-alt"):
        assert fault in found
