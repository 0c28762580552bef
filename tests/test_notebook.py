"""examples/loop.ipynb: its cells, in order as a kernel runs them, against a live MLflow."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.live import ROOT

NOTEBOOK = json.loads((ROOT / "examples/loop.ipynb").read_text("utf-8"))
CELLS = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def test_it_has_ten_cells_without_anybodys_output() -> None:
    """Ten numbered cells of plain Python in the current format, with unique IDs and no output."""
    assert (NOTEBOOK["nbformat"], len(CELLS)) == (4, 10)
    for number, cell in enumerate(CELLS, start=1):
        compile(cell, f"cell {number}", "exec")
        assert cell.startswith(f"# {number}. ")
    for cell in NOTEBOOK["cells"]:
        assert not cell.get("outputs")
    assert len({cell["id"] for cell in NOTEBOOK["cells"]}) == len(NOTEBOOK["cells"])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_notebook_walks_the_loop(mlflow_server: str, tmp_path: Path) -> None:
    """All cells run, and their reports are GREEN, RED on drift, and OK on performance."""
    script = tmp_path / "loop.py"
    script.write_text("\n\n".join(CELLS), encoding="utf-8")
    env = {**os.environ, "MLFLOW_TRACKING_URI": mlflow_server, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, str(script)],
        cwd=ROOT / "examples",
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        told, _ = process.communicate(timeout=800)
    finally:
        # End the proxy that the notebook started, if a cell failed.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, told[-5000:]
    lines = told.splitlines()
    statuses = [line for line in lines if line.startswith("Status: ")]
    assert statuses == ["Status: GREEN", "Status: RED", "Status: OK"]
    assert "only a trial" in told
    assert "drift_report_" in lines[-1]
