"""Project files agree with each other: locks, conda.yaml, MLproject, commands, tracked files."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tests.test_languages import helped

ROOT = Path(__file__).resolve().parents[1]
OTHERS = ("requirements-dev.lock", "requirements-serving.lock", "requirements-spark.lock")


def locked(name: str) -> dict[str, set[str]]:
    """Return package → versions in a lock file (a package may have one per Python)."""
    found: dict[str, set[str]] = {}
    for package, version in re.findall(
        r"^([a-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", (ROOT / name).read_text(), re.MULTILINE
    ):
        found.setdefault(package, set()).add(version)
    return found


def direct() -> dict[str, Requirement]:
    """Return the direct dependencies in pyproject.toml by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {r.name: r for r in map(Requirement, project["dependencies"])}


def test_conda_yaml_agrees_with_the_lock() -> None:
    """conda.yaml pins exactly pyproject's direct dependencies, at versions the lock holds."""
    environment = yaml.safe_load((ROOT / "conda.yaml").read_text())
    pip = next(part["pip"] for part in environment["dependencies"] if isinstance(part, dict))
    pinned = {r.name: r for r in map(Requirement, pip)}
    assert pinned.keys() == direct().keys()
    lock = locked("requirements.lock")
    for name, requirement in pinned.items():
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", name
        assert specifier.version in lock[name], name
        assert requirement.extras == direct()[name].extras, name


def test_locks_are_hashed_and_name_no_host() -> None:
    """Every package has hashes; no lock names a registry or a path of some machine."""
    for name in ("requirements.lock", *OTHERS):
        text = (ROOT / name).read_text()
        assert locked(name)
        blocks = re.split(r"^(?=[a-z0-9._-]+(?:\[[^]]*\])?==)", text, flags=re.MULTILINE)[1:]
        assert all("--hash=sha256:" in block for block in blocks)
        assert "http" not in re.sub(r"^\S*http\S*==", "", text, flags=re.MULTILINE).replace(
            "httptools", ""
        ).replace("httpx", "").replace("httpcore", "").replace("aiohttp", "")
        assert "index" not in text
        assert "file:" not in text


def test_other_locks_do_not_contradict_the_runtime_lock() -> None:
    """Packages that another lock shares with the runtime lock have the same versions."""
    runtime = locked("requirements.lock")
    for other in map(locked, OTHERS):
        shared = runtime.keys() & other.keys()
        assert shared
        for name in shared:
            assert other[name] <= runtime[name], name


def test_the_proxys_lock_is_part_of_the_runtime_lock_without_server_and_plots() -> None:
    """The proxy's lock has only packages of the runtime lock, and MLflow's without a server."""
    slim = locked("requirements-serving.lock")
    assert slim.keys() <= locked("requirements.lock").keys()
    assert "mlflow-skinny" in slim
    assert not slim.keys() & {"mlflow", "boto3", "matplotlib", "flask", "sqlalchemy", "uv"}
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    named = {r.name: r for r in map(Requirement, groups["serving"])}
    for name, requirement in direct().items():
        if name in named:
            assert named[name].specifier == requirement.specifier, name
    assert named["mlflow-skinny"].specifier == direct()["mlflow"].specifier


def test_mlproject_entry_points_run_commands_that_exist() -> None:
    """Each entry point runs an existing module whose help names the options that it passes."""
    project = yaml.safe_load((ROOT / "MLproject").read_text())
    assert project["conda_env"] == "conda.yaml"
    expected = {"main", "make_dataset", "train", "promote", "rollback", "build_baseline"}
    assert set(project["entry_points"]) == expected | {
        "drift_report",
        "performance_report",
        "rehearsal",
        "shadow_report",
    }
    for name, entry in project["entry_points"].items():
        words = entry["command"].split()
        assert words[:2] == ["python", "-m"], name
        module = ROOT / Path(*words[2].split(".")).with_suffix(".py")
        assert module.exists(), module
        used = set(re.findall(r"{(\w+)}", entry["command"]))
        assert used == set(entry["parameters"]), name
        options = [word for word in words[3:] if word.startswith("--")]
        told = helped(words[2], *words[3:4] if words[3:4] != options[:1] else ())
        assert not set(options) - set(re.findall(r"--\w+", told)), name


def test_a_file_with_a_main_runs_it() -> None:
    """A file with `main` calls it as a script; else `python -m` would do nothing and succeed."""
    for package in ("mlflow_project", "monitoring", "serving", "data", "scripts"):
        for path in (ROOT / package).glob("*.py"):
            text = path.read_text("utf-8")
            if re.search(r"^def main\(", text, re.MULTILINE):
                assert '\nif __name__ == "__main__":\n' in text, path


def test_nothing_private_or_generated_is_tracked() -> None:
    """Workbooks, Parquet, logs, reports and environments never enter the repository."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        files = [str(p.relative_to(ROOT)) for p in (ROOT / "data").rglob("*.xlsx")]
        assert not [f for f in files if not f.startswith("data/raw/")]
        return
    forbidden = (".xlsx", ".parquet", ".jsonl", ".db", ".log", ".skops")
    tracked = listed.stdout.splitlines()
    assert tracked
    older = "tests/serving/model/older_models/"  # synthetic, by earlier scikit-learn releases
    found = [path for path in tracked if path.endswith(forbidden) or path == ".env"]
    assert not [path for path in found if not path.startswith(older)]


COMMANDS = [
    path
    for package in ("mlflow_project", "monitoring")
    for path in sorted((ROOT / package).glob("*.py"))
    if re.search(r"^def main\(", path.read_text("utf-8"), re.MULTILINE)
]


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.stem)
def test_a_command_is_made_of_the_shared_parts(path: Path) -> None:
    """Each command uses the shared parser and error handling, and a document names it."""
    text, name = path.read_text("utf-8"), f"{path.parent.name}.{path.stem}"
    used = set(re.findall(r"\b\w+(?=\()", text))
    assert used & {"parser", "build_parser"}
    assert used & {"run_command", "guarded"} or path.stem == "routines", "which only prints"
    documents = [ROOT / "RUNBOOK.md", ROOT / "README.md", ROOT / "MLproject"]
    assert any(name in each.read_text("utf-8") for each in documents), "its people do not find it"


def test_commands_load_nothing_slow_before_their_options() -> None:
    """An error in the options is reported at once, before MLflow or scikit-learn is imported."""
    slow = re.compile(r"^(?:import|from) (?:mlflow|sklearn|scipy|pandas|matplotlib|duckdb)\b", re.M)
    assert [path.name for path in COMMANDS if slow.search(path.read_text("utf-8"))] == []
