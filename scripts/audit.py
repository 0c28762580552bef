"""`make audit`: check the locked packages against known advisories with uv.

uv audits uv projects only, so a temporary one is made whose dependencies are the lock's pins.
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
"""Parts of uv's messages where no source of advisories is reachable, which is no finding."""


def pins(lock: str) -> list[str]:
    """Return a lock's requirements, with their markers and without their hashes."""
    return _PIN.findall(lock)


def project(requirements: Sequence[str]) -> str:
    """Return the `pyproject.toml` of a project with exactly these dependencies."""
    return (
        '[project]\nname = "audited"\nversion = "0"\nrequires-python = "==3.11.*"\n'
        f"dependencies = {json.dumps(list(requirements))}\n[tool.uv]\npackage = false\n"
    )


def main(lock: Path = ROOT / "requirements.lock") -> int:
    """Print uv's findings; return 1 on an advisory or a failure of uv, else 0, also offline."""
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
    """Return a command's exit code and its output; -1 and no output after a timeout."""
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return -1, ""
    return done.returncode, done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main())
