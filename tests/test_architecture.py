"""The import rules: `core` below the three packages, which never import each other."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STANDARD = ("errors.py", "messages/__init__.py", "store/schema.py")
"""What `core.contract` may import besides itself; standard library only, too."""
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
    """`core.contract` can be imported by anything at no cost."""
    ours = {"core.contract", "core.errors", "core.messages"}
    allowed = {*sys.stdlib_module_names, *ours}
    for path in [*sources("core/contract"), *(ROOT / "core" / n for n in STANDARD)]:
        for name in imported(path):
            starts = {name.split(".")[0], *(".".join(name.split(".")[:n]) for n in (2, 3))}
            assert starts & allowed, f"{path}: {name}"


@pytest.mark.parametrize("package", ["core", *PACKAGES])
def test_packages_meet_only_in_core(package: str) -> None:
    """Core imports none of the packages; they import it and never each other."""
    others = {p for p in PACKAGES if p != package}
    for path in sources(package):
        assert not {name.split(".")[0] for name in imported(path)} & others, path


@pytest.mark.parametrize("package", ["serving", "monitoring"])
def test_one_module_talks_to_mlflow(package: str) -> None:
    """In serving and in monitoring a single module imports MLflow."""
    talkers = {
        path.name
        for path in sources(package)
        if any(name.split(".")[0] == "mlflow" for name in imported(path))
    }
    assert talkers == {"registry.py"}


@pytest.mark.parametrize("package", ["serving", "monitoring"])
def test_serving_and_monitoring_know_no_schools(package: str) -> None:
    """No word of the domain: any scikit-learn model with a contract could take its place."""
    words = ("aluno", "escola", "school", "student", "defasagem", "pede", "criança", "fase_")
    files = [*sources(package), *(ROOT / package).rglob("templates/*")]
    for path in files:
        text = path.read_text(encoding="utf-8").lower()
        assert not [word for word in words if word in text], path
