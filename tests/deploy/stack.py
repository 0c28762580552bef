"""Commands and environments of docker-compose.yml, for local addresses without containers."""

import io
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml
from dotenv import dotenv_values

from tests.live import ROOT, clean_environment


def new_env() -> dict[str, str]:
    """Return the variables of a fresh `.env`, as `check_secrets --new` prints it."""
    command = [sys.executable, "-m", "scripts.check_secrets", "--new"]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {k: v or "" for k, v in dotenv_values(stream=io.StringIO(text)).items()}


class Compose:
    """The services of the file, with `.env` filled in and service addresses replaced."""

    def __init__(self, env: Mapping[str, str], addresses: Mapping[str, str]) -> None:
        """Keep the variables of `.env`, and local addresses by those in containers."""
        self.env, self.addresses = env, addresses
        self._services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]

    def fill(self, text: str) -> str:
        """Return a text of the file with its variables and addresses replaced."""
        text = re.sub(
            r"\$\{(\w+)(?::[-?]([^}]*))?\}", lambda m: self.env.get(m[1]) or m[2] or "", text
        )
        for there, here in self.addresses.items():
            text = text.replace(there, here)
        return text

    def environment(self, service: str, **changes: str) -> dict[str, str]:
        """Return a service's environment, added to a clean one of this machine."""
        listed = self._services[service].get("environment", {})
        bin_folder = str(Path(sys.executable).parent)
        path = {"PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"}
        image = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        filled = {name: self.fill(str(value)) for name, value in listed.items()}
        return {**clean_environment(), **path, **image, **filled, **changes}

    def command(self, service: str) -> list[str]:
        """Return a service's entry point and command."""
        found = self._services[service]
        return [self.fill(word) for word in [*found.get("entrypoint", []), *found["command"]]]
