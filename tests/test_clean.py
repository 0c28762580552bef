"""`make clean` removes generated files, and never files that people added."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live import ROOT, copy_project

REMADE = ("logs/app.log", "data/processed/modeling_dataset.parquet", "var/api.log")
SYNTHETIC = "data/raw/pede_synthetic.xlsx"
WORKBOOK = "data/raw/PEDE 2024.xlsx"
PRECIOUS = ("var/mlflow.db", "var/artifacts/1/model.skops", "monitoring/inference_store/a.parquet")


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """Return a copy of the project with generated and added files, in a path with a space."""
    folder = tmp_path / "my project"
    copy_project(folder)
    shutil.copy(ROOT / "Makefile", folder)
    for name in (*REMADE, SYNTHETIC, WORKBOOK, *PRECIOUS, ".env"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    (folder / ".venv").symlink_to(tmp_path)
    return folder


def make(folder: Path, target: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """Run a target of the Makefile with `typed` as its input."""
    return subprocess.run(
        ["make", target, f"PYTHON={sys.executable}"],
        cwd=folder,
        input=typed,
        capture_output=True,
        text=True,
    )


def there(folder: Path, *names: str) -> list[str]:
    """Return which of the files exist."""
    return [name for name in names if (folder / name).exists()]


def test_clean_keeps_workbooks_registry_and_answers(used: Path) -> None:
    """Only files that commands generate again are removed; removed and kept ones are printed."""
    done = make(used, "clean")
    assert done.returncode == 0, done.stderr
    assert there(used, *REMADE, SYNTHETIC) == []
    assert not (used / ".venv").is_symlink()
    assert there(used, WORKBOOK, *PRECIOUS, ".env") == [WORKBOOK, *PRECIOUS, ".env"]
    assert "data/processed" in done.stdout
    assert "data/raw" in done.stdout


@pytest.mark.parametrize("typed", ["", "\n", "s\n", "não\n"])
def test_clean_all_without_a_typed_yes_removes_nothing(used: Path, typed: str) -> None:
    """An empty answer, an end of input, and anything but the whole word remove nothing."""
    done = make(used, "clean-all", typed)
    assert done.returncode != 0
    kept = (*REMADE, SYNTHETIC, WORKBOOK, *PRECIOUS)
    assert there(used, *kept) == list(kept)
    assert "var" in done.stdout


@pytest.mark.parametrize("typed", ["sim\n", "yes\n"])
def test_clean_all_keeps_the_workbooks_all_the_same(used: Path, typed: str) -> None:
    """After the word registry and captured rows are removed; workbooks and `.env` stay."""
    done = make(used, "clean-all", typed)
    assert done.returncode == 0, done.stderr
    assert there(used, *REMADE, SYNTHETIC, *PRECIOUS) == []
    assert there(used, WORKBOOK, ".env") == [WORKBOOK, ".env"]
