"""Measurement of a benchmark's process groups."""

import sys
import time
from pathlib import Path

from benchmarks.processes import processor_seconds, running
from tests.live import eventually

BURN = "import time\nwhile time.process_time() < 0.4: pass\n"


def test_a_group_s_processor_time_counts_living_and_ended_members(tmp_path: Path) -> None:
    """The sum includes the leader's 0.4 s, an ended child's and a running child's."""
    program = (
        "import subprocess, sys, time\n"
        f"burn = {BURN!r}\n"
        "subprocess.run([sys.executable, '-c', burn])\n"
        "exec(burn)\n"
        "subprocess.Popen([sys.executable, '-c', burn + 'time.sleep(60)'])\n"
        "time.sleep(60)\n"
    )
    with running([sys.executable, "-c", program], tmp_path / "out", {}) as process:
        eventually(lambda: processor_seconds(process) >= 1.15, 30)
        time.sleep(0.3)
        assert processor_seconds(process) < 2.0  # includes three starts of Python
