"""Digests of code and of a training: which changes make a new version."""

import shutil
from pathlib import Path

import pytest

from mlflow_project.runs.fingerprint import ROOMS, code_digest, training_digest
from tests.live import ROOT


def test_code_digest_depends_on_names_and_contents_alone(tmp_path: Path) -> None:
    """A copy in another folder has the same digest; a changed line or renamed file does not."""
    first, copy = tmp_path / "a", tmp_path / "b"
    for folder in (first, copy):
        (folder / "room" / "inner").mkdir(parents=True)
        (folder / "room" / "inner" / "one.py").write_text("x = 1\n")
        (folder / "room" / "notes.txt").write_text(str(folder))
    rooms = ("room",)
    assert code_digest(first, rooms) == code_digest(copy, rooms)
    before = code_digest(copy, rooms)
    (copy / "room" / "inner" / "one.py").write_text("x = 2\n")
    assert code_digest(copy, rooms) != before
    (copy / "room" / "inner" / "one.py").write_text("x = 1\n")
    (copy / "room" / "inner" / "one.py").rename(copy / "room" / "inner" / "two.py")
    assert code_digest(copy, rooms) != before


@pytest.mark.parametrize("room", ROOMS)
def test_a_changed_training_room_is_another_training(tmp_path: Path, room: str) -> None:
    """A changed line in any of the folders `ROOMS` changes the code digest."""
    copied = copy_of_the_project(tmp_path)
    first = next((copied / room).rglob("*.py"))
    first.write_text(first.read_text("utf-8") + "# another line\n", "utf-8")
    assert code_digest(copied) != code_digest()


@pytest.mark.parametrize("room", ["mlflow_project/migration", "mlflow_project/flips", "serving"])
def test_a_comment_in_another_room_makes_no_new_training(tmp_path: Path, room: str) -> None:
    """Code that only moves, shows or serves a version is not part of the code digest."""
    copied = copy_of_the_project(tmp_path)
    for path in (copied / room).rglob("*.py"):
        path.write_text(path.read_text("utf-8") + "# another line\n", "utf-8")
    assert code_digest(copied) == code_digest()


def copy_of_the_project(folder: Path) -> Path:
    """Copy the packages' sources to a folder; return it."""
    for package in ("core", "mlflow_project", "serving"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    return folder


def test_training_digest_depends_on_data_and_parameters() -> None:
    """The digest depends on the data and the parameters' values, not on their order."""
    base = training_digest("d", {"seed": 7, "capacity": 0.6})
    assert training_digest("d", {"capacity": 0.6, "seed": 7}) == base
    others = [training_digest("e", {"seed": 7, "capacity": 0.6}), training_digest("d", {"seed": 8})]
    assert base not in others and len(set(others)) == 2
