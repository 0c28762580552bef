"""`make up` in a fresh copy, and every command of RUNBOOK.md and README.md as written."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import ROOT, clean_environment, copy_project, find_free_port, stop

UP = "scripts.up"
READY = "Tudo no ar"


class Stack:
    """A copy of the project with the settings to start it on free ports."""

    def __init__(self, folder: Path) -> None:
        """Copy the project; `.venv` is the one that runs the tests."""
        copy_project(folder)
        (folder / ".venv").symlink_to(Path(sys.executable).parents[1])
        self.folder = folder
        self.api, self.mlflow = find_free_port(), find_free_port()
        self.env = {**clean_environment(), "PSEUDONYM_KEY": "a key of the tests"}

    def command(self, *more: str) -> list[str]:
        """Return the command that the Makefile's `up` runs."""
        ports = ["--api-port", str(self.api), "--mlflow-port", str(self.mlflow)]
        return [sys.executable, "-m", UP, *ports, *more]

    def fail(self, *more: str) -> str:
        """Start the stack, expecting exit code 1; return its one line of error."""
        done = subprocess.run(
            self.command(*more), cwd=self.folder, env=self.env, capture_output=True, text=True
        )
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        return line

    def start(self) -> "Running":
        """Start the stack and wait until it prints that all is up."""
        return Running(
            subprocess.Popen(
                self.command(),
                cwd=self.folder,
                env=self.env,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        )

    def ports_are_free(self) -> bool:
        """Return whether no process listens on either port."""
        for port in (self.api, self.mlflow):
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    return False
        return True


class Running:
    """A started stack; a thread reads its output, so that it never blocks on a full pipe."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Wait for the line that ends a good start; fail with the whole output otherwise."""
        self.process = process
        self.lines: list[str] = []
        self._ready = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        assert self._ready.wait(240), "".join(self.lines)
        assert READY in "".join(self.lines), "".join(self.lines)
        time.sleep(0.5)

    @property
    def text(self) -> str:
        """Return everything printed so far."""
        return "".join(self.lines)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if READY in line:
                self._ready.set()
        self._ready.set()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """Return a project copy in which nothing was started yet."""
    return Stack(tmp_path_factory.mktemp("stack") / "project")


@pytest.fixture(scope="module")
def running(stack: Stack) -> Iterator[Running]:
    """Yield the stack, started for the first time, so that it trains."""
    started = stack.start()
    yield started
    stop(started.process)  # type: ignore[arg-type]


def test_a_taken_port_is_one_clear_line(stack: Stack) -> None:
    """A port in use is one line of error that names the variable to change it."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        stack.api, free = sock.getsockname()[1], stack.api
        try:
            line = stack.fail()
        finally:
            stack.api = free
    assert line.startswith("erro: ")
    assert "API_PORT=" in line


def test_a_missing_workbook_is_one_clear_line(stack: Stack) -> None:
    """A missing workbook is one line of error that names the file and the variable SOURCE."""
    line = stack.fail("--source", "nowhere/PEDE.xlsx")
    assert "nowhere/PEDE.xlsx" in line
    assert "SOURCE" in line


def test_a_broken_download_is_one_clear_line(tmp_path: Path) -> None:
    """The installer exits with 1 and one line that names the lock; no traceback of pip."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/install.sh", tmp_path / "scripts")
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parents[1])
    wrong = "0" * 64
    (tmp_path / "bad.lock").write_text(f"no-such-package-here==1.0 --hash=sha256:{wrong}\n")
    env = {**os.environ, "PIP_INDEX_URL": "http://127.0.0.1:9", "PIP_RETRIES": "0"}
    env |= {"PIP_EXTRA_INDEX_URL": "", "PIP_CONFIG_FILE": os.devnull}
    done = subprocess.run(
        ["bash", "scripts/install.sh", sys.executable, "bad.lock"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "bad.lock" in line
    assert "network" in line


def blocks(document: str) -> list[str]:
    """Return the shell blocks of a document, in order."""
    text = (ROOT / document).read_text(encoding="utf-8")
    found = re.findall(r"^( *)```bash\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", body, flags=re.MULTILINE) for indent, body in found]


RESTART = "restart.wanted"
DOCKER = {
    # `make up` has started the services that compose would.
    r"docker compose up -d --build": "curl -sf http://127.0.0.1:8000/ready",
    r"docker compose ps": "curl -sf http://127.0.0.1:8000/health http://127.0.0.1:5000/health",
    # The entry points of the image, run in the environment that the image is built from.
    r"docker compose run --rm --entrypoint python retrain (.+)": r"python \1",
    r"docker compose run --rm retrain (.+)": "mlflow run . --env-manager local "
    r"--experiment-name risco-defasagem-training \1",
    r"docker compose exec monitor (.+)": r"\1",
    r"docker compose cp monitor:/app/(\S+) (\S+)": r"cp -r \1 \2",
    # A container logs to standard output, a local process to its file.
    r"docker logs --tail (\d+) datathon-api": r"tail -n \1 logs/app.log",
    # A thread of the test stops `make up` and starts it again, then removes the file.
    r"docker restart datathon-api": f"touch {RESTART}; while [ -e {RESTART} ]; do sleep 0.2; done",
}
"""Docker's commands and their local equivalents; a command without an entry fails the test."""


def without_docker(script: str) -> str:
    """Return the script with Docker's commands replaced by their local equivalents."""
    lines = []
    for line in script.splitlines():
        if line.startswith("docker "):
            found = [(p, local) for p, local in DOCKER.items() if re.fullmatch(p, line)]
            assert len(found) == 1, f"no local equivalent of: {line}"
            line = re.sub(*found[0], line)
        lines.append(line)
    return "\n".join(lines) + "\n"


def run_blocks(stack: Stack, document: str, skipped: tuple[str, ...]) -> str:
    """Run a document's blocks in one shell that stops at the first failure; return the output.

    Only the addresses are changed, to this stack's ports, and blocks that begin with a word of
    `skipped` are left out.
    """
    kept = [block for block in blocks(document) if not block.startswith(skipped)]
    assert kept
    script = "\n".join(f"echo '### {i}'\n{block}" for i, block in enumerate(kept))
    script = without_docker(script)
    script = script.replace(":8000", f":{stack.api}").replace(":5000", f":{stack.mlflow}")
    done = subprocess.run(
        ["bash", "-e"],
        input=script,
        cwd=stack.folder,
        env=stack.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_up_trains_once_and_stops_wholly(stack: Stack, running: Running) -> None:
    """The first start trains; SIGTERM ends all processes; the second start does not train."""
    assert "por mlflow run" in running.text
    assert " INFO " not in running.text and "Created version" not in running.text
    assert "View run" not in running.text
    assert f"curl -X POST http://127.0.0.1:{stack.api}/predict" in running.text
    os.kill(running.process.pid, signal.SIGTERM)
    assert running.process.wait(30) == 0
    assert stack.ports_are_free()
    begun = time.monotonic()
    again = stack.start()
    try:
        assert time.monotonic() - begun < 90
        assert "nada a treinar" in again.text
    finally:
        os.kill(again.process.pid, signal.SIGINT)
        assert again.process.wait(30) == 0
    assert stack.ports_are_free()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(shutil.which("jq") is None, reason="the runbook's commands use jq")
def test_every_command_of_runbook_and_readme_works(stack: Stack, running: Running) -> None:
    """All commands, run as written and in order on the live stack, have the promised output."""
    started = running if running.process.poll() is None else stack.start()
    restarter = Restarter(stack, started)
    restarter.start()
    try:
        check_documents(stack)
    finally:
        restarter.finish()
        stop(restarter.running.process)  # type: ignore[arg-type]
    assert restarter.times == 1


class Restarter(threading.Thread):
    """A thread that restarts the stack on request, as Ctrl-C and `make up` would."""

    def __init__(self, stack: Stack, running: Running) -> None:
        """Take the running stack."""
        super().__init__(daemon=True)
        self.running, self.times = running, 0
        self._stack, self._over = stack, threading.Event()

    def run(self) -> None:
        """Poll for the request file; restart when it exists."""
        wanted = self._stack.folder / RESTART
        while not self._over.wait(0.2):
            if wanted.exists():
                os.kill(self.running.process.pid, signal.SIGINT)
                self.running.process.wait(60)
                self.running = self._stack.start()
                self.times += 1
                wanted.unlink()

    def finish(self) -> None:
        """Stop polling."""
        self._over.set()
        self.join(300)


def check_documents(stack: Stack) -> None:
    """Run the commands of both documents; check the output that they promise."""
    told = run_blocks(stack, "README.md", skipped=("make",))
    assert '"risk_score"' in told
    assert "Gravado: var/lista.xlsx" in told
    assert "v1.1.0 é a champion" in told
    assert "não registrada" not in told
    told = run_blocks(stack, "RUNBOOK.md", skipped=())
    assert '"request_id": "abc123"' in told
    assert '"status": "healthy"' in told
    assert "Limiar de v1.0.0: 0,35" in told
    assert "v1.2.0 (nº 3)" in told
    assert "v1.3.0 (nº 4)" in told
    assert "v1.0.0 já está aqui (nº 1), idêntica" in told
    assert re.search(r"rollback +v1\.\d\.0 +v1\.\d\.0", told)
    assert re.search(r"v1\.0\.0 drift_metrics_\d{8} (GREEN|YELLOW|RED|NO_DATA|INCONCLUSIVE)", told)
    assert "Baseline da versão v1.0.0" in told
    assert "Removido o que passou da idade (linhas: 180 dias)" in told
    assert "Conferido: nenhuma linha desta pessoa restou." in told
    # The drills (§9) have the output that the text promises.
    assert re.search(r"vermelho: \d+ × 200", told)
    assert "Status: RED" in told
    assert re.search(r"RED +ida: PSI", told)
    assert "erros: 60 × 422" in told
    assert "latencia: 48 × 200" in told
    assert re.search(r"^\d{3,}(\.\d+)?\t1000$", told, re.MULTILINE)
    # The school year (§11): a list of each year, and the outcomes of the year before.
    assert "planilha de 2024" in told and "planilha de 2025" in told
    assert (stack.folder / "var/lista-2024.xlsx").exists()
    assert "PEDE2025" in told
    # The commands of the containers (§10).
    assert oct((stack.folder / ".env").stat().st_mode)[-3:] == "600"
    assert list((stack.folder / "relatorios").glob("v*/drift_report_*.html"))
    assert (stack.folder / "artifacts/model_report_v1.2.0.md").exists()
