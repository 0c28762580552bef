"""A killed training leaves no version that can be promoted; repeating it completes it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.contract import names
from core.registry.versions import Registry, open_registry
from mlflow_project.flips.promotion import promote
from mlflow_project.runs.completion import UNFINISHED, is_unfinished
from mlflow_project.versions.errors import Refused
from tests.live import ROOT

QUICK = """
import sys
from mlflow_project.modelling import pipeline, splits
pipeline.REPEATS, pipeline.FOLDS = 1, 3
splits.SPLITS, splits.FOLDS = 1, 2
from mlflow_project.train import main
sys.exit(main(sys.argv[1:]))
"""


def start(dataset: Path, folder: Path, model: str) -> subprocess.Popen[str]:
    """Start a training as a separate process group; return its process."""
    return subprocess.Popen(
        [sys.executable, "-c", QUICK, "--source", str(dataset)],
        cwd=folder,
        env={**os.environ, "MODEL_NAME": model, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def kill_at(process: subprocess.Popen[str], words: str, delay: float = 0.0) -> bool:
    """Kill the group `delay` seconds after it printed `words`; return whether it was running."""
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            break
    else:
        raise AssertionError(f"it never said: {words}")
    time.sleep(delay)
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(20)
    process.stdout.close()
    return alive


def finish(dataset: Path, folder: Path, model: str) -> str:
    """Run a training to its end; return its output."""
    with start(dataset, folder, model) as process:
        told, _ = process.communicate(timeout=240)
    assert process.returncode == 0, told
    return told


def assert_sound(registry: Registry) -> None:
    """Assert that every version is complete or its promotion is refused as interrupted."""
    for version in registry.versions():
        if names.TAG_BASELINE_RUN_ID in version.tags and not is_unfinished(version):
            continue
        with pytest.raises(Refused, match="registro interrompido"):
            promote(registry, version.release, "for the test")
    assert names.CHAMPION not in registry.aliases()


@pytest.mark.slow
def test_killed_before_its_baseline_a_version_cannot_be_promoted_until_repeated(
    mlflow_server: str, dataset_file: Path, tmp_path: Path
) -> None:
    """The same command completes the same version: baseline, alias, verdict and description."""
    assert kill_at(start(dataset_file, tmp_path, "killed"), "primeira baseline")
    registry = open_registry("killed")
    (half,) = registry.versions()
    assert is_unfinished(half) and half.tags["gate"] == "failed"
    assert_sound(registry)
    told = finish(dataset_file, tmp_path, "killed")
    assert "mesmos dados, código e parâmetros de v1.0.0" in told
    (whole,) = registry.versions()
    assert whole.number == half.number
    assert names.TAG_BASELINE_RUN_ID in whole.tags and UNFINISHED not in whole.tags
    assert whole.aliases == (names.CHALLENGER,)
    each = [v for k, v in whole.tags.items() if k.startswith("gate.")]
    passed = all(v.startswith("passed") for v in each)
    assert whole.tags["gate"] == ("passed" if passed else "failed")
    assert registry.client.get_model_version("killed", str(whole.number)).description


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_anywhere_no_half_version_can_be_promoted(
    mlflow_server: str, dataset_file: Path, tmp_path: Path
) -> None:
    """After kills between first fit and last tag no version can be promoted; a rerun completes."""
    registry = open_registry("killed-anywhere")
    moments = [("ajuste para servir", 1.0), ("ajuste de avaliação", 0.5), ("crianças de fora", 0.5)]
    moments += [("registrando", delay) for delay in (0.0, 0.3, 0.6, 1.0, 1.5, 2.5)]
    for words, delay in moments:
        process = start(dataset_file, tmp_path, registry.name)
        try:
            kill_at(process, words, delay)
        except AssertionError:
            # An earlier attempt had registered a version, and this one completed it.
            assert process.wait(60) == 0
        assert_sound(registry)
    finish(dataset_file, tmp_path, registry.name)
    assert [v for v in registry.versions() if is_unfinished(v)] == []
