"""The reports as a browser lays them out: on a phone, on a desk, on paper; without a network."""

import html
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from monitoring.pages.performance_page import render as render_performance
from monitoring.pages.shadow_page import render as render_shadow
from monitoring.performance.agreement import agree, pair
from tests.monitoring.pages.test_drift_page import page as drift_page
from tests.monitoring.pages.test_performance_page import judged
from tests.monitoring.performance.test_agreement import facts as shadow_facts
from tests.monitoring.performance.test_agreement import many

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")

_FRAME = """<!DOCTYPE html><meta charset="utf-8">
<iframe id="page" style="width:{width}px;height:800px;border:0" srcdoc="{page}"></iframe>
<pre id="found"></pre>
<script>
addEventListener("load", () => {{
  const view = document.getElementById("page").contentWindow, page = view.document;
  const root = page.documentElement;
  const box = (name) => page.querySelector(name).getBoundingClientRect();
  const plots = [...page.querySelectorAll("svg.plot, svg.reliability")];
  const seen = plots.filter((plot) => plot.getBoundingClientRect().height > 40);
  document.getElementById("found").textContent = [
    "scrolled=" + root.scrollWidth, "verdict=" + Math.round(box("header.verdict").bottom),
    "plots=" + plots.length, "seen=" + seen.length,
    "fetched=" + view.performance.getEntriesByType("resource").length,
  ].join(" ");
}});
</script>"""


def shadow_page() -> str:
    """Return a shadow report."""
    paired = pair(*many(200, 2, 0.1))
    return render_shadow(agree(paired), paired, shadow_facts())


PAGES = {
    "drift": lambda: drift_page(200, 2.0),
    "performance": lambda: render_performance(*judged(200)),
    "shadow": shadow_page,
}


def chromium(*arguments: str) -> str:
    """Run the browser without a window or a network; return what it prints."""
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu"]
    command += ["--disable-background-networking", "--no-first-run", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


@pytest.mark.parametrize("width", [400, 1200])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_the_screen(name: str, width: int, tmp_path: Path) -> None:
    """Nothing sticks out sideways, the verdict comes first, plots are drawn, nothing is fetched."""
    frame = tmp_path / "frame.html"
    text = _FRAME.format(width=width, page=html.escape(PAGES[name](), quote=True))
    frame.write_text(text, encoding="utf-8")
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    dom = chromium(profile, "--window-size=1300,900", "--dump-dom", frame.as_uri())
    told = re.search(r'<pre id="found">(.*?)</pre>', dom)
    assert told is not None
    found = dict(item.split("=") for item in told.group(1).split())
    assert int(found["scrolled"]) <= width
    assert int(found["verdict"]) < 700
    assert int(found["plots"]) > 0
    assert found["seen"] == found["plots"]
    assert found["fetched"] == "0"


def test_the_drift_report_can_be_printed(tmp_path: Path) -> None:
    """A PDF of a few pages comes out."""
    source, target = tmp_path / "page.html", tmp_path / "page.pdf"
    source.write_text(PAGES["drift"](), encoding="utf-8")
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    chromium(profile, f"--print-to-pdf={target}", source.as_uri())
    pages = len(re.findall(rb"/Type\s*/Page\b", target.read_bytes()))
    assert 1 <= pages <= 4
