"""The import rules: `core` below the other packages, which never import each other."""

import ast
import functools
import sys
from collections.abc import Callable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pyarrow as pa
import pytest

ROOT = Path(__file__).resolve().parents[1]
STANDARD = ("errors.py", "messages/__init__.py", "store/schema.py")
"""Files of `core` outside `core.contract` that, like it, import the standard library only."""
PACKAGES = ("mlflow_project", "serving", "monitoring", "data")
OURS = ("core", *PACKAGES, "scripts")
TABLE: dict[str, dict[str, str]] = {
    "core": {
        "messages": "",
        "pages": "messages",
        "metrics": "messages",
        "errors": "messages",
        "cli": "messages errors contract",
        "contract": "messages errors",
        "files": "contract",
        "spark": "messages files errors",
        "tables": "messages errors contract",
        "mlflow_client": "messages errors contract",
        "registry": "messages files contract mlflow_client",
        "store": "messages files errors contract",
        "journals": "messages files store",
        "captured": "messages contract store journals",
        "upkeep": "messages files store journals",
    },
    "mlflow_project": {
        "pede": "",
        "dataset": "pede",
        "lists": "pede dataset",
        "make_dataset": "pede dataset",
        "modelling": "dataset",
        "versions": "",
        "flips": "versions",
        "gate": "dataset modelling flips",
        "describing": "modelling versions flips",
        "runs": "dataset make_dataset modelling versions flips gate",
        "migration": "dataset versions flips runs",
        "train": "make_dataset runs",
    },
    "serving": {
        "errors": "",
        "telemetry": "",
        "config": "errors",
        "protocol": "errors",
        "compiled": "",
        "model": "errors telemetry config protocol compiled",
        "following": "errors telemetry config model",
        "engine": "errors protocol model following",
        "capture": "errors telemetry config model engine",
        "metrics": "config telemetry engine",
        "deployment": "errors telemetry config protocol following engine capture metrics",
        "http": "config errors telemetry protocol model engine deployment",
        "batch": "errors protocol following engine http",
        "lists": "errors protocol following engine deployment http",
        "documents": "errors http",
        "panel": "errors telemetry metrics deployment http documents",
    },
    "monitoring": {
        "drift": "",
        "performance": "",
        "tracking": "drift",
        "command": "tracking",
        "replay": "drift performance tracking",
        "pages": "drift performance tracking replay",
        "privacy": "tracking",
    },
    "scripts": {
        "starting": "",
        "up": "starting",
        "prepare_services": "",
        "backups": "starting prepare_services",
    },
}
"""Each room (subpackage) with the rooms of its package that it may import, lowest first."""


@functools.cache
def imported(path: Path) -> set[str]:
    """Return the dotted names of all modules that a file imports, also within functions."""
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
    """`core.contract` imports the standard library only, so importing it is cheap."""
    ours = {"core.contract", "core.errors", "core.messages"}
    allowed = {*sys.stdlib_module_names, *ours}
    for path in [*sources("core/contract"), *(ROOT / "core" / n for n in STANDARD)]:
        for name in imported(path):
            starts = {name.split(".")[0], *(".".join(name.split(".")[:n]) for n in (2, 3))}
            assert starts & allowed, f"{path}: {name}"


@pytest.mark.parametrize("package", ["core", *PACKAGES])
def test_packages_meet_only_in_core(package: str) -> None:
    """`core` imports none of the packages; they import it and never each other."""
    others = {p for p in PACKAGES if p != package}
    for path in sources(package):
        assert not {name.split(".")[0] for name in imported(path)} & others, path


@pytest.mark.parametrize("package", ["core", "serving", "monitoring"])
def test_two_rooms_talk_to_mlflow(package: str) -> None:
    """Of these packages only `core.mlflow_client` and `core.registry` import MLflow."""
    for path in sources(package):
        if "mlflow" in {name.split(".")[0] for name in imported(path)}:
            assert room(module(path)) in {"core.mlflow_client", "core.registry"}, path


@functools.cache
def graph() -> dict[str, set[str]]:
    """Return each module of the project with those that it imports, also within functions."""
    files = {module(path): path for package in (*OURS,) for path in sources(package)}

    def home(name: str) -> str:
        while name and name not in files:
            name = name.rpartition(".")[0]
        return name

    return {name: {home(n) for n in imported(path)} - {"", name} for name, path in files.items()}


def module(path: Path) -> str:
    """Return a file's dotted name; a package's for its `__init__.py`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(name: str) -> str:
    """Return the room of a module: its subpackage; a file at a package's root is its own room."""
    return ".".join(name.split(".")[:2])


def rooms() -> dict[str, set[str]]:
    """Return each room with the rooms that it imports."""
    found: dict[str, set[str]] = {}
    for name, names in graph().items():
        found.setdefault(room(name), set()).update({room(n) for n in names} - {room(name)})
    return found


@pytest.mark.parametrize("of", [graph, rooms], ids=["files", "rooms"])
def test_nothing_imports_itself_in_a_circle(of: Callable[[], dict[str, set[str]]]) -> None:
    """Imports have no cycle, neither between files nor between rooms."""
    try:
        TopologicalSorter(of()).prepare()
    except CycleError as exc:
        pytest.fail(" → ".join(reversed(exc.args[1])))


@pytest.mark.parametrize("package", [*TABLE])
def test_rooms_import_what_the_table_says(package: str) -> None:
    """Each room imports exactly the rooms of its package in the table; a new entry is a decision.

    Commands (files at the root that nothing imports) may import every room.
    """
    found = {name: others for name, others in rooms().items() if name.startswith(f"{package}.")}
    used = set().union(*found.values())
    shown = {
        name.removeprefix(f"{package}."): {
            other.removeprefix(f"{package}.") for other in others if other.startswith(f"{package}.")
        }
        for name, others in found.items()
        if name in used or (ROOT / package / name.split(".")[1]).is_dir()
    }
    table = {name: set(others.split()) for name, others in TABLE[package].items()}
    assert shown == table


def test_tests_mirror_the_source() -> None:
    """Each folder of tests has the name of the room that it tests."""
    for package in ("core", "mlflow_project", "serving", "monitoring"):
        for folder in (ROOT / "tests" / package).glob("*/"):
            if any(folder.glob("test_*.py")):
                assert (ROOT / package / folder.name / "__init__.py").exists(), folder


def test_no_class_name_means_two_things() -> None:
    """Class names are unique over all packages."""
    places: dict[str, list[str]] = {}
    for package in OURS:
        for path in sources(package):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    places.setdefault(node.name, []).append(module(path))
    twice = {name: where for name, where in places.items() if len(where) > 1}
    assert not twice


@pytest.mark.parametrize("package", ["serving", "monitoring"])
def test_serving_and_monitoring_know_no_schools(package: str) -> None:
    """These packages have no word of the school domain: they fit any model with a contract."""
    words = ("aluno", "escola", "school", "student", "defasagem", "pede", "criança", "fase_")
    files = [*sources(package), *(ROOT / package).rglob("templates/*")]
    for path in files:
        text = path.read_text(encoding="utf-8").lower()
        assert not [word for word in words if word in text], path


def test_functions_that_others_import_stay_where_they_are() -> None:
    """Baseline and comparison can be imported and used in memory; equal rows have a PSI of 0."""
    from monitoring.build_baseline import fit_baseline
    from monitoring.drift_report import compare

    table = pa.table({"age": [float(n % 17) for n in range(400)]})
    result = compare(fit_baseline(table), table)
    assert [column.psi for column in result.features] == [0.0]
