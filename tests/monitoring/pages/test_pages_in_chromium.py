"""Layout of the reports in a browser: narrow and wide screens, print, and no requests."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitoring.pages.performance_page import render as render_performance
from monitoring.pages.shadow_page import render as render_shadow
from monitoring.performance.agreement import agree, pair
from tests.chromium import EXECUTABLE, Browser
from tests.monitoring.pages.test_drift_page import page as drift_page
from tests.monitoring.pages.test_performance_page import judged
from tests.monitoring.performance.test_agreement import facts as shadow_facts
from tests.monitoring.performance.test_agreement import many

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="no chromium here")

_FOUND = """(() => {
  const plots = [...document.querySelectorAll("svg.plot, svg.reliability")];
  return {
    scrolled: document.documentElement.scrollWidth,
    verdict: document.querySelector("header.verdict").getBoundingClientRect().bottom,
    plots: plots.length,
    seen: plots.filter((plot) => plot.getBoundingClientRect().height > 40).length,
    fetched: performance.getEntriesByType("resource").length,
  };
})()"""


def shadow_page() -> str:
    """Return the page of a shadow report."""
    paired = pair(*many(200, 2, 0.1))
    return render_shadow(agree(paired), paired, shadow_facts())


PAGES = {
    "drift": lambda: drift_page(200, 2.0),
    "performance": lambda: render_performance(*judged(200)),
    "shadow": shadow_page,
}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Yield a running browser."""
    with Browser(tmp_path_factory.mktemp("browser")) as running:
        yield running


def opened(browser: Browser, name: str, folder: Path, width: int = 1200) -> None:
    """Open a report in a viewport of this width, in pixels."""
    path = folder / f"{name}.html"
    path.write_text(PAGES[name](), encoding="utf-8")
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.call("Emulation.setDeviceMetricsOverride", **size)
    browser.open(path.as_uri())


@pytest.mark.parametrize("width", [400, 1200])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_the_screen(name: str, width: int, tmp_path: Path, browser: Browser) -> None:
    """The page does not overflow, verdict and plots are visible, and no resource is fetched."""
    opened(browser, name, tmp_path, width)
    found = browser.value(_FOUND)
    assert found["scrolled"] <= width
    assert found["verdict"] < 700
    assert found["plots"] > 0
    assert found["seen"] == found["plots"]
    assert found["fetched"] == 0


def test_the_drift_report_can_be_printed(tmp_path: Path, browser: Browser) -> None:
    """The drift report prints to a PDF of at most four pages."""
    opened(browser, "drift", tmp_path)
    printed = base64.b64decode(browser.call("Page.printToPDF")["data"])
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 4
