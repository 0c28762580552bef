"""`make audit`: known advisories about the locked packages, asked by uv, where one can be asked.

uv audits a project of its own kind, so one is made whose dependencies are the lock's own pins.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from core.cli.arguments import say
from core.messages import _

ROOT = Path(__file__).resolve().parents[1]
_PIN = re.compile(r"^([a-z0-9._-]+(?:\[[a-z0-9,._-]+\])?==[^\\\n]+?)\s*\\?$", re.MULTILINE)
_PREVIEW = ("--preview-features", "audit-command")
_SECONDS = 240
_UNREACHED = ("Request failed", "dns error", "error sending request", "Failed to fetch")
"""What uv says where it reaches nobody: neither is a finding."""


def pins(lock: str) -> list[str]:
    """Return a lock's requirements, with their markers and without their hashes."""
    return _PIN.findall(lock)


def project(requirements: Sequence[str]) -> str:
    """Return the `pyproject.toml` of a project that needs exactly these."""
    return (
        '[project]\nname = "audited"\nversion = "0"\nrequires-python = "==3.11.*"\n'
        f"dependencies = {json.dumps(list(requirements))}\n[tool.uv]\npackage = false\n"
    )


def main(lock: Path = ROOT / "requirements.lock") -> int:
    """Print what is known; return 1 where an advisory was found, 0 where nobody could be asked."""
    uv = Path(sys.executable).with_name("uv")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pyproject.toml").write_text(project(pins(lock.read_text())), "utf-8")
        locked = _run([str(uv), "lock", "--quiet", "--python", sys.executable], folder)
        said = locked if locked[0] else _run([str(uv), "audit", "--frozen", *_PREVIEW], folder)
    code, text = said
    if code and (code < 0 or any(words in text for words in _UNREACHED)):
        say(_("{file} was not audited: no source of advisories can be reached", file=lock.name))
        return 0
    say(f"{lock.name}: {text.strip()}")
    return 1 if code else 0


def _run(command: Sequence[str], folder: str) -> tuple[int, str]:
    """Return a command's exit code and all that it said; -1 where it took too long."""
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return -1, ""
    return done.returncode, done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main())
