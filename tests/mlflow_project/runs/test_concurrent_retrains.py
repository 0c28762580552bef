"""Two processes on one host retrain and promote at the same time."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from core.contract import names
from core.registry.versions import open_registry
from mlflow_project.flips.ledger import Ledger
from tests.live import ROOT


def at_once(folder: Path, *commands: tuple[str, ...]) -> list[str]:
    """Run all commands concurrently, each in a separate folder; return their output."""
    processes = []
    for number, command in enumerate(commands):
        place = folder / str(number)
        place.mkdir(exist_ok=True)
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=place,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    told = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(commands), told
    return told


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_retrains_and_two_promotions_at_once(
    mlflow_server: str, dataset_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two retrains give two releases with baselines; two promotions `champion` and `previous`."""
    monkeypatch.setenv("MODEL_NAME", "at-once")
    # Forced: on equal data the second would return the first one's version.
    command = ("mlflow_project.train", "--source", str(dataset_file), "--force")
    told = at_once(tmp_path, command, command)
    registry = open_registry()
    versions = registry.versions()
    assert sorted(v.release for v in versions) == ["v1.0.0", "v1.1.0"]
    for version in versions:
        assert version.tags["gate"] in ("passed", "failed")
        assert version.tags[names.TAG_BASELINE_RUN_ID]
    said = [set(re.findall(r"registrando at-once (v\d\.\d\.\d)", text)) for text in told]
    assert sorted(map(sorted, said)) == [["v1.0.0"], ["v1.1.0"]]
    assert sum(names.CHALLENGER in version.aliases for version in versions) == 1

    promote = ("mlflow_project.registry", "promote", "--force", "--reason", "at once")
    at_once(tmp_path, *((*promote, "--model_version", v) for v in ("v1.0.0", "v1.1.0")))
    first, second = Ledger(registry).flips()
    assert (first.before, second.before) == ("", first.after)
    aliases = registry.aliases()
    assert aliases[names.CHAMPION] == int(second.after)
    assert aliases[names.PREVIOUS] == int(first.after)
