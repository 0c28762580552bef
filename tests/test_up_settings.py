"""Settings of `make up` from command line, environment and `.env`, and their errors."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.live import ROOT, clean_environment, copy_project, find_free_port

OURS = ("HOST", "BIND_ADDRESS", "API_PORT", "MLFLOW_PORT", "WORKERS", "SOURCE", "API_KEYS")


class Project:
    """A copy of the project without settings, and a port that is in use."""

    def __init__(self, folder: Path, taken: int) -> None:
        """Remove what an earlier test has set."""
        (folder / ".env").unlink(missing_ok=True)
        self.folder, self.taken, self.free = folder, taken, find_free_port()
        self.environ = {k: v for k, v in clean_environment().items() if k not in OURS}

    def env_file(self, **values: object) -> None:
        """Copy `.env.example` to `.env` and change or add these variables."""
        lines = (self.folder / ".env.example").read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if line.partition("=")[0] not in values]
        lines = [*kept, *(f"{name}={value}" for name, value in values.items())]
        (self.folder / ".env").write_text("\n".join(lines), encoding="utf-8")

    def make(self, *given: str) -> list[str]:
        """Return the command of `make up` with variables given to make."""
        # `-o`: the environment counts as installed, whatever its lock file says.
        return ["make", "-s", "-o", ".venv/runtime", "up", *given]

    def refuse(self, *given: str, **exported: str) -> str:
        """Run `make up`, expecting one line of error from it; return the line."""
        done = subprocess.run(
            self.make(*given),
            cwd=self.folder,
            env={**self.environ, **exported},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode != 0, done.stdout
        assert "Traceback" not in done.stderr
        line, *ours = done.stderr.splitlines()
        assert line.startswith("erro: "), done.stderr
        assert all(said.startswith("make: ") for said in ours), done.stderr
        return line


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project in a path with spaces; `.venv` is the one of these tests."""
    folder = tmp_path_factory.mktemp("up") / "um projeto"
    copy_project(folder)
    shutil.copy(ROOT / "Makefile", folder)
    (folder / ".venv").symlink_to(Path(sys.executable).parents[1])
    return folder


@pytest.fixture
def project(folder: Path) -> Iterator[Project]:
    """Yield the copy of the project, without settings."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield Project(folder, sock.getsockname()[1])


def test_ports_come_from_the_env_file(project: Project) -> None:
    """A port of `.env` that is in use is an error that names port and variable."""
    project.env_file(API_PORT=project.taken, MLFLOW_PORT=project.free)
    line = project.refuse()
    assert f"127.0.0.1:{project.taken}" in line
    assert "API_PORT=" in line


def test_an_exported_variable_wins_over_the_file(project: Project) -> None:
    """An exported variable overrides `.env`; one given to make overrides both."""
    project.env_file(API_PORT=project.free, MLFLOW_PORT=find_free_port())
    assert f":{project.taken}" in project.refuse(API_PORT=str(project.taken))
    line = project.refuse(f"MLFLOW_PORT={project.taken}", MLFLOW_PORT=str(find_free_port()))
    assert f":{project.taken}" in line
    assert "MLFLOW_PORT=" in line


def test_the_workbook_of_a_retraining_in_containers_is_not_that_of_make_up(
    project: Project,
) -> None:
    """SOURCE in an older `.env` is ignored, and `.env.example` does not set it."""
    project.env_file(SOURCE="data/raw/PEDE.xlsx", API_PORT=project.taken, MLFLOW_PORT=project.free)
    assert "PEDE.xlsx" not in project.refuse()
    shell = subprocess.run(
        ["bash", "-ec", "set -a; . ./.env.example; set +a; echo ${SOURCE-unset}"],
        cwd=project.folder,
        env=project.environ,
        capture_output=True,
        text=True,
    )
    assert shell.stdout == "unset\n"


def test_a_workbook_that_is_given_must_be_there(project: Project) -> None:
    """A missing workbook, given to make or exported, is an error that names it."""
    assert "nowhere.xlsx" in project.refuse("SOURCE=nowhere.xlsx")
    assert "nowhere.xlsx" in project.refuse(SOURCE="nowhere.xlsx")


@pytest.mark.parametrize("given", ["API_PORT=99999", "API_PORT=abc", "MLFLOW_PORT=0", "WORKERS=-1"])
def test_a_number_out_of_range_is_one_line(project: Project, given: str) -> None:
    """A number out of range is one line of error that quotes variable and value."""
    assert given in project.refuse(given)


def test_one_port_for_both_is_refused(project: Project) -> None:
    """Equal ports are an error that names both variables, since the second server would fail."""
    line = project.refuse(f"API_PORT={project.free}", f"MLFLOW_PORT={project.free}")
    assert "API_PORT" in line
    assert "MLFLOW_PORT" in line


def test_an_address_of_another_machine_is_no_matter_of_ports(project: Project) -> None:
    """An address of another machine is an error that names HOST and the address."""
    line = project.refuse(f"MLFLOW_PORT={project.free}", "HOST=203.0.113.1")
    assert "203.0.113.1" in line
    assert "HOST" in line


def test_a_folder_that_cannot_be_written_is_one_line(project: Project) -> None:
    """A folder `var` that cannot be written is one line of error with its path."""
    (project.folder / "var").write_text("a file where a folder should be")
    ports = (f"API_PORT={find_free_port()}", f"MLFLOW_PORT={project.free}")
    assert str(project.folder / "var") in project.refuse(*ports)


class Started:
    """A running `make up`; a thread reads its output."""

    def __init__(self, project: Project, *given: str, **exported: str) -> None:
        """Start it and wait until all is up."""
        self.process = subprocess.Popen(
            project.make(*given),
            cwd=project.folder,
            env={**project.environ, **exported},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.said, self._up = "", threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        assert self._up.wait(400), self.said
        assert "Tudo no ar" in self.said, self.said

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            if "Tudo no ar" in line:
                self._up.set()
        self._up.set()

    def stop(self) -> None:
        """Stop it as Ctrl-C does."""
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(60)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_copied_example_starts_and_only_the_api_is_open_to_the_network(project: Project) -> None:
    """The copied example starts; a second start says that SOURCE is ignored, and how to train."""
    api, mlflow = find_free_port(), find_free_port()
    project.env_file(API_PORT=api, MLFLOW_PORT=mlflow, SOURCE="data/raw/PEDE.xlsx")
    first = Started(project)
    try:
        assert "por mlflow run" in first.said
        assert httpx.get(f"http://127.0.0.1:{api}/ready").status_code == 200
    finally:
        first.stop()
    book = "data/raw/pede_synthetic.xlsx"
    again = Started(project, f"SOURCE={book}", "HOST=0.0.0.0")
    try:
        assert "SOURCE" in again.said
        assert f"'source={project.folder / book}'" in again.said
        assert "MLflow fica em 127.0.0.1" in again.said
        assert "API_KEYS" in again.said
        assert listens("0.0.0.0", api)  # noqa: S104
        assert not listens("0.0.0.0", mlflow)  # noqa: S104
        assert listens("127.0.0.1", mlflow)
    finally:
        again.stop()


def listens(address: str, port: int) -> bool:
    """Return whether a process of this machine listens at exactly this address (Linux)."""
    wanted = f"{socket.inet_aton(address)[::-1].hex().upper()}:{port:04X}"
    sockets = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return any(fields[1] == wanted and fields[3] == "0A" for fields in sockets)
