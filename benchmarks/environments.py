"""Environments of the peers, one each, since their dependencies conflict (also with ours)."""

import hashlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

from benchmarks.processes import ROOT

PEERS = Path.home() / ".cache" / "serving-peers"
"""Folder of the environments, outside the repository; the first run creates them."""

BOOSTERS = ("xgboost-cpu==3.2.0", "lightgbm==4.7.0")
"""The optional libraries; XGBoost's default distribution includes a gigabyte for accelerators."""

_INSTALL_SECONDS = 300
_REQUIREMENTS: Mapping[str, tuple[str, ...]] = {
    "mlserver": (
        "mlserver==1.7.1",
        "mlserver-sklearn==1.7.1",
        f"scikit-learn=={version('scikit-learn')}",
        "joblib",
    ),
    "litserve": (
        "litserve==0.2.19",
        f"scikit-learn=={version('scikit-learn')}",
        f"pandas=={version('pandas')}",
        "joblib",
        *BOOSTERS,
    ),
    "bentoml": ("bentoml==1.4.39", f"scikit-learn=={version('scikit-learn')}", "joblib"),
    "evidently": ("evidently==0.7.23", "pandas<3", "pyarrow"),
    # It imports statsmodels for plots without declaring the dependency.
    "nannyml": ("nannyml==0.13.1", "pandas<3", "pyarrow", "statsmodels"),
}


class Unavailable(Exception):
    """An environment that cannot be installed here; the message has the reason."""


@cache
def shipped_python() -> Path:
    """Return the interpreter of an environment with the packages of requirements.lock only.

    scikit-learn imports pytest if it is installed, which would add to a worker's memory.

    Raises:
        Unavailable: it could not be created.
    """
    lock = ROOT / "requirements.lock"
    name = f"shipped-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    return _environment(name, ["--require-hashes", "-r", lock]) / "bin" / "python"


@cache
def python_with_boosters() -> Path:
    """Return the interpreter of an environment with requirements.lock and the optional libraries.

    Raises:
        Unavailable: it could not be created.
    """
    lock = ROOT / "requirements.lock"
    digest = hashlib.sha256(lock.read_bytes() + " ".join(BOOSTERS).encode()).hexdigest()[:12]
    return _environment(f"boosters-{digest}", ["-r", lock, *BOOSTERS]) / "bin" / "python"


def environment(peer: str) -> Path:
    """Return the folder of the peer's environment, created if it is missing.

    Raises:
        Unavailable: it could not be created.
    """
    return _environment(peer, _REQUIREMENTS[peer])


def _environment(name: str, wanted: Sequence[str | Path]) -> Path:
    folder = PEERS / name
    # Marks an installation with bytecode, without which each start would compile its imports.
    ready = folder / "compiled"
    if ready.exists():
        return folder
    uv = Path(sys.executable).parent / "uv"
    python = folder / "bin" / "python"
    try:
        for command in (
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder],
            [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, *wanted],
        ):
            subprocess.run(
                [str(word) for word in command],
                check=True,
                capture_output=True,
                timeout=_INSTALL_SECONDS,
            )
    except (OSError, subprocess.SubprocessError) as exc:
        raise Unavailable(f"{name} cannot be installed ({type(exc).__name__})") from exc
    ready.touch()
    return folder
