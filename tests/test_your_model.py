"""docs/your-model.md: its blocks, run as written against a live MLflow and a live proxy."""

import json
import re
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import ROOT, wait_for
from tests.walk import Walk

PAGE = (ROOT / "docs/your-model.md").read_text("utf-8")
BLOCKS = re.findall(r"(?:`(\w+\.py)`:\n\n)?```(\w+)\n(.*?)```", PAGE, re.DOTALL)
OTHER_TERMINAL = "# in another terminal\n"


class Reader(Walk):
    """A terminal that runs the blocks of the page in a copy of the project."""

    def __init__(self, folder: Path, tracking_uri: str) -> None:
        """Copy the project; only the addresses of the two servers differ from the page."""
        super().__init__(folder, tracking_uri, "churn")
        self._exports = ""
        self._ports = {"http://127.0.0.1:5000": tracking_uri, "8001": self.api.rsplit(":", 1)[1]}

    def type(self, block: str) -> str:
        """Run a block of commands to its end; return its standard output."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self._exports + self._moved(block)],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        if block.startswith("export"):
            self._exports = self._moved(block)
        return done.stdout

    def start(self, block: str) -> None:
        """Start a block that keeps running; wait until the proxy is ready."""
        process = subprocess.Popen(
            ["bash", "-c", self._exports + self._moved(block)],
            cwd=self.folder,
            env=self.env,
            start_new_session=True,
        )
        self._processes.append(process)
        wait_for(f"{self.api}/ready", 300, process)

    def _moved(self, block: str) -> str:
        for written, here in self._ports.items():
            block = block.replace(written, here)
        return block


@pytest.fixture
def reader(tmp_path: Path, mlflow_server: str) -> Iterator[Reader]:
    """Yield a reader; its processes are stopped after the test."""
    found = Reader(tmp_path / "project", mlflow_server)
    yield found
    found.stop()


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_page_does_what_it_says(reader: Reader) -> None:
    """All blocks run: script, threshold, explanation, drift, performance, shadow, rollback."""
    printed = {}
    for file, language, block in BLOCKS:
        if language == "python":
            (reader.folder / file).write_text(block, encoding="utf-8")
        elif block.startswith(OTHER_TERMINAL):
            reader.start(block)
        else:
            printed[block] = reader.type(block)

    def said(words: str) -> str:
        (found,) = [out for block, out in printed.items() if words in block]
        return found

    assert "v0.0.1" in said("registry list")
    answer = json.loads(said("/predict"))
    (prediction,) = answer["predictions"]
    assert prediction["label"] == 1
    strongest = prediction["explanation"][0]
    assert (strongest["feature"], strongest["reference"]) == ("calls", 2.0)
    assert "2,000 rows" in said("build_baseline")
    assert "Status: GREEN" in said("drift_report").splitlines()
    assert "Expected performance" in said("drift_report")
    assert "Status: OK" in said("performance_report").splitlines()
    assert "800 outcomes" in said("performance_report")
    assert "800" in said("shadow_report")
    assert all(why in said("registry history") for why in ("agrees with the first", "only a drill"))
    assert reader.served() == "v0.0.1"
    pages = {path.name[:5] for path in reader.folder.glob("monitoring/reports/v0.0.*/*.html")}
    assert pages == {"drift", "perfo", "shado"}


def test_every_block_is_typed() -> None:
    """Blocks of Python have a file name, all others are commands, and none is overlooked."""
    assert {language for _file, language, _block in BLOCKS} == {"python", "bash"}
    assert all(file for file, language, _block in BLOCKS if language == "python")
    assert PAGE.count("```") == 2 * len(BLOCKS)
    assert textwrap.dedent(PAGE) == PAGE
