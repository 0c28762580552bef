"""The whole system, run by its own commands in a copy of the project."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from tests.live import clean_environment, copy_project, find_free_port, run_here, stop, wait_for


class Walk:
    """A copy of the project, one model name, and the environment that all commands share."""

    def __init__(self, folder: Path, tracking_uri: str, model: str) -> None:
        """Copy the project into `folder`."""
        copy_project(folder)
        self.folder, self.api = folder, f"http://127.0.0.1:{find_free_port()}"
        self._processes: list[subprocess.Popen[bytes]] = []
        self.env = {
            **clean_environment(),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "MLFLOW_TRACKING_URI": tracking_uri,
            "MODEL_NAME": model,
            "CAPTURE_FLUSH_SECONDS": "15",
            "PSEUDONYM_KEY": "a key for the test",
        }

    def run(self, *command: str) -> str:
        """Run a Python command to its end; return its standard output."""
        done = subprocess.run(
            [sys.executable, *command],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def here(self, module: str, *arguments: str) -> str:
        """Run a command in this process, which has imported MLflow already; return its output."""
        return run_here([module, *arguments], self.env, self.folder)

    def serve(self, workers: int = 1) -> None:
        """Start the proxy; wait until every worker answers with a version."""
        command = [sys.executable, "-m", "serving", "--workers", str(workers)]
        process = subprocess.Popen(
            [*command, "--port", self.api.rsplit(":", 1)[1]],
            cwd=self.folder,
            env=self.env,
            start_new_session=True,
        )
        self._processes.append(process)
        wait_for(f"{self.api}/ready", 300, process)

    def stop(self) -> None:
        """Stop the started processes; captured rows are then converted to Parquet."""
        while self._processes:
            stop(self._processes.pop())

    def post(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Send instances in requests of 50; return all predictions."""
        found: list[dict[str, Any]] = []
        with httpx.Client(base_url=self.api, timeout=30) as client:
            for start in range(0, len(rows), 50):
                answer = client.post("/predict", json={"instances": rows[start : start + 50]})
                assert answer.status_code == 200, answer.text
                found += answer.json()["predictions"]
        return found

    def served(self) -> str | None:
        """Return the release that `/metadata` names; None from a worker that has none yet."""
        release: str | None = (
            httpx.get(f"{self.api}/metadata", timeout=10).json().get("model_version")
        )
        return release

    def wait_until_served(self, release: str) -> None:
        """Wait until every worker answers with `release`: twenty responses in a row."""
        deadline, row = time.monotonic() + 120, 0
        while row < 20:
            assert time.monotonic() < deadline, f"{release} is not served after 120 s"
            row = row + 1 if self.served() == release else 0
