"""The import rule: three packages that meet in the registry and the store, never in code."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("mlflow_project", "serving", "monitoring", "data")


def imported(path: Path) -> set[str]:
    """Return the dotted names of all modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def sources(package: str) -> list[Path]:
    """Return a package's Python files."""
    files = sorted((ROOT / package).rglob("*.py"))
    assert files, f"{package} has no files: the rule would check nothing"
    return files


def test_contract_imports_standard_library_only() -> None:
    """`mlflow_project.contract` can be imported by anything at no cost."""
    allowed = set(sys.stdlib_module_names) | {"mlflow_project"}
    for path in sources("mlflow_project/contract"):
        for name in imported(path):
            assert name.split(".")[0] in allowed, f"{path}: {name}"
            if name.startswith("mlflow_project"):
                assert name.startswith("mlflow_project.contract"), f"{path}: {name}"


@pytest.mark.parametrize("package", ["serving", "monitoring"])
def test_serving_and_monitoring_know_only_the_contract(package: str) -> None:
    """They import each other never, and of the project only `contract`."""
    others = [p for p in PACKAGES if p != package]
    for path in sources(package):
        for name in imported(path):
            top = name.split(".")[0]
            if top in others:
                assert name.startswith("mlflow_project.contract"), f"{path}: {name}"


def test_training_imports_neither_serving_nor_monitoring() -> None:
    """Training asks for a baseline by a command, not by an import."""
    for path in sources("mlflow_project"):
        assert not {n.split(".")[0] for n in imported(path)} & {"serving", "monitoring"}, path


@pytest.mark.parametrize(
    ("package", "only"), [("serving", "registry.py"), ("monitoring", "runs.py")]
)
def test_one_module_talks_to_mlflow(package: str, only: str) -> None:
    """In serving and in monitoring a single module imports MLflow."""
    talkers = {
        path.name
        for path in sources(package)
        if any(name.split(".")[0] == "mlflow" for name in imported(path))
    }
    assert talkers == {only}


@pytest.mark.parametrize("package", ["serving", "monitoring"])
def test_serving_and_monitoring_know_no_schools(package: str) -> None:
    """No word of the domain: any scikit-learn model with a contract could take its place."""
    words = ("aluno", "escola", "school", "student", "defasagem", "pede", "criança", "fase_")
    files = [*sources(package), *(ROOT / package / "templates").rglob("*")]
    for path in files:
        text = path.read_text(encoding="utf-8").lower()
        assert not [word for word in words if word in text], path
