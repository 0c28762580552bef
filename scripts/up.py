"""Start the whole system on this machine: MLflow server, a champion, the proxy. Ctrl-C stops it.

It starts the project's own commands as processes and watches them; of the project it imports only
`core`, which is quick. It ends with its terminal and with `make`; `scripts.guard` ends what it has
started if it is killed itself.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from dotenv import load_dotenv

from core.cli.arguments import Parser, complain, parser
from core.cli.progress import say
from core.errors import ProjectError
from core.messages import N_, _

ROOT = Path(__file__).resolve().parents[1]
VAR = ROOT / "var"
SYNTHETIC = Path("data/raw/pede_synthetic.xlsx")
STUDENTS, SEED = 1200, 7
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StartError(ProjectError):
    """The system cannot start; the message says what to do."""

    code = "start_failed"


class Stopped(Exception):
    """Somebody asked us to stop."""


def check_port(host: str, port: int, variable: str) -> None:
    """Raise StartError when the port is taken."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError as exc:
            raise StartError(
                N_("cannot use {address} ({reason}); choose another port: {command}"),
                address=f"{host}:{port}",
                reason=exc.strerror,
                command=f"make up {variable}={port + 1}",
            ) from exc


class Stack:
    """The processes that were started, each in its own group so that all of it can be stopped."""

    def __init__(self, env: Mapping[str, str]) -> None:
        """Remember the environment that every process gets."""
        self._env = {**os.environ, **env}
        self._processes: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._stopping = False
        self._parent = os.getppid() if "MAKELEVEL" in os.environ else None
        guard = [sys.executable, "-m", "scripts.guard"]
        self._guard = subprocess.Popen(
            guard, cwd=ROOT, stdin=subprocess.PIPE, start_new_session=True
        )
        for number in SIGNALS:
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """Only note it: an exception here could come between a start and its record."""
        self._stopping = True

    def pause(self, seconds: float) -> None:
        """Sleep a little, then raise Stopped if somebody asked us to stop."""
        time.sleep(seconds)
        if self._stopping or (self._parent is not None and os.getppid() != self._parent):
            raise Stopped

    def _tell_guard(self, line: str) -> None:
        """Tell the guard of a process group; without a guard it goes on."""
        with suppress(OSError):
            os.write(self._guard.stdin.fileno(), f"{line}\n".encode())  # type: ignore[union-attr]

    def start(self, name: str, command: Sequence[str], log: Path) -> None:
        """Start a server in the background; what it prints goes to `log`."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as out:
            process = subprocess.Popen(
                command, cwd=ROOT, env=self._env, stdout=out, stderr=out, start_new_session=True
            )
        self._tell_guard(f"+{process.pid}")
        self._processes.append((name, process))

    def run(self, what: str, command: Sequence[str]) -> None:
        """Run a job in the foreground, its words on the terminal.

        Raises:
            StartError: it failed.
        """
        process = subprocess.Popen(command, cwd=ROOT, env=self._env, start_new_session=True)
        self._tell_guard(f"+{process.pid}")
        self._processes.append((what, process))
        while (code := process.poll()) is None:
            self.pause(0.1)
        self._processes.pop()
        self._tell_guard(f"-{process.pid}")
        if code:
            raise StartError(
                N_("{what} failed (exit code {code}); the cause is just above"),
                what=what,
                code=code,
            )

    def wait_for(self, name: str, url: str, seconds: float, log: Path) -> None:
        """Wait until `url` answers 200.

        Raises:
            StartError: the process ended or the time is over; names the log.
        """
        deadline, said = time.monotonic() + seconds, ""
        while time.monotonic() < deadline:
            self.check()
            try:
                with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310
                    if answer.status == 200:
                        return
            except urllib.error.HTTPError as exc:
                said = exc.read(2000).decode(errors="replace")
            except OSError:
                pass
            self.pause(0.2)
        raise StartError(
            N_("{name} was not ready within {seconds} s; see {log} {said}"),
            name=name,
            seconds=round(seconds),
            log=log.relative_to(ROOT),
            said=said,
        )

    def check(self) -> None:
        """Raise StartError when a server has ended by itself."""
        for name, process in self._processes:
            if process.poll() is not None:
                raise StartError(
                    N_("{name} ended by itself (exit code {code}); see var/"),
                    name=name,
                    code=process.returncode,
                )

    def stop(self) -> None:
        """Stop everything, last started first: politely, then for certain."""
        for _name, process in reversed(self._processes):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(20)
            # A server that has gone may have left children in its group.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self._tell_guard(f"-{process.pid}")
        self._guard.communicate()


def has_champion(mlflow_url: str, model: str, alias: str) -> bool:
    """Ask the registry over REST; importing MLflow for one question would cost seconds."""
    url = f"{mlflow_url}/api/2.0/mlflow/registered-models/alias?name={model}&alias={alias}"
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        return False


def workbook(stack: Stack, source: str | None) -> Path:
    """Return the workbook to train on: the one given, or a synthetic one, made if need be."""
    if source:
        return Path(source).resolve()
    if not (ROOT / SYNTHETIC).exists():
        say(
            _(
                "making a synthetic PEDE workbook ({students} students): {path}",
                students=STUDENTS,
                path=SYNTHETIC,
            )
        )
        command = [*("-m", "data.synthetic", "--students", str(STUDENTS), "--seed", str(SEED))]
        stack.run(_("the generator"), [sys.executable, *command, "--output", str(SYNTHETIC)])
    return SYNTHETIC


def start(args: argparse.Namespace, stack: Stack, mlflow_url: str, api_url: str) -> None:
    """Start server, champion and proxy, in this order."""
    say(_("starting the MLflow server at {url} (up to half a minute)", url=mlflow_url))
    log = VAR / "mlflow-server.log"
    server = [sys.executable, "-m", "mlflow", "server", "--host", args.host]
    server += ["--port", str(args.mlflow_port), "--workers", "1"]
    server += ["--backend-store-uri", f"sqlite:///{VAR / 'mlflow.db'}"]
    server += ["--artifacts-destination", str(VAR / "artifacts")]
    stack.start(_("the MLflow server"), server, log)
    stack.wait_for(_("the MLflow server"), f"{mlflow_url}/health", 180, log)

    model = os.environ.get("MODEL_NAME") or "risco-defasagem"
    alias = os.environ.get("MODEL_ALIAS") or "champion"
    if has_champion(mlflow_url, model, alias):
        say(_("there is a champion; nothing to train (to retrain: mlflow run, see README)"))
    else:
        source = workbook(stack, args.source)
        say(_("training on {source} by mlflow run (about a minute)", source=source))
        run = [sys.executable, "-m", "mlflow", "run", ".", "--env-manager", "local"]
        run += ["--experiment-name", f"{model}-training", "-P", f"source={source}"]
        stack.run(_("the training"), run)
        if not has_champion(mlflow_url, model, alias):
            raise StartError(
                N_("the training ended, but the version did not pass the gate; see {url}"),
                url=f"{mlflow_url}/#/models/{model}",
            )
    say(_("starting the API at {url}", url=api_url))
    log = VAR / "api.log"
    api = [sys.executable, "-m", "serving", "--host", args.host, "--port", str(args.api_port)]
    stack.start(_("the API"), [*api, "--workers", str(args.workers)], log)
    stack.wait_for(_("the API"), f"{api_url}/ready", 120, log)


def announce(mlflow_url: str, api_url: str) -> str:
    """Return what to look at and what to paste."""
    model = os.environ.get("MODEL_NAME") or "risco-defasagem"
    places = {
        _("Panel"): f"{api_url}/painel",
        "API": f"{api_url}/docs",
        _("Health"): f"{api_url}/health",
        "MLflow": f"{mlflow_url}/#/models/{model}",
    }
    activate = f"source .venv/bin/activate && export MLFLOW_TRACKING_URI={mlflow_url}"
    request = f"""curl -X POST {api_url}/predict -H "Content-Type: application/json" \\
    -d '{{"instances": [{{"fase_2023": 3, "idade_2023": 15, "iaa_2023": 6.5}}]}}'"""
    parts = [
        _("Everything is up. Ctrl-C stops it, and so does closing this terminal."),
        "\n".join(f"  {name:<10}{url}" for name, url in places.items()),
        _("In another terminal, before the commands of the RUNBOOK:"),
        f"  {activate}",
        _("Try it:"),
        f"  {request}",
    ]
    return "\n" + "\n\n".join(parts) + "\n\n"


def build_parser() -> Parser:
    """Return the options that `make up` passes."""
    arguments = parser("scripts.up", _("Start MLflow, train if need be, start the API."))
    arguments.add_argument("--host", default="127.0.0.1", help=_("address (%(default)s)"))
    for option, port in (("--api-port", 8000), ("--mlflow-port", 5000)):
        arguments.add_argument(option, type=int, default=port, help=_("port (%(default)s)"))
    arguments.add_argument("--workers", type=int, default=1, help=_("workers (%(default)s)"))
    arguments.add_argument("--source", help=_("PEDE workbook (.xlsx); default: a synthetic one"))
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Start everything, wait, stop everything; return the exit code."""
    args = build_parser().parse_args(argv)
    shown = "127.0.0.1" if args.host in ("0.0.0.0", "::") else args.host  # noqa: S104
    mlflow_url = f"http://{shown}:{args.mlflow_port}"
    api_url = f"http://{shown}:{args.api_port}"
    load_dotenv(ROOT / ".env")  # what the environment says wins
    env = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "MLFLOW_TRACKING_URI": mlflow_url,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "SHEET_READER": os.environ.get("SHEET_READER") or "mlflow_project.lists",
        "PANEL_GROUP": os.environ.get("PANEL_GROUP") or "fase",
    }
    stack = Stack(env)
    try:
        if args.source and not Path(args.source).is_file():
            raise StartError(
                N_("the workbook {path} does not exist; correct SOURCE=..."), path=args.source
            )
        check_port(args.host, args.mlflow_port, "MLFLOW_PORT")
        check_port(args.host, args.api_port, "API_PORT")
        if not os.environ.get("PSEUDONYM_KEY"):
            say(
                _(
                    "PSEUDONYM_KEY is not set: answers are captured without pseudonyms, and what "
                    "is captured now can never be joined with labels by person (.env.example)"
                )
            )
        start(args, stack, mlflow_url, api_url)
        sys.stdout.write(announce(mlflow_url, api_url))
        sys.stdout.flush()
        while True:
            stack.check()
            stack.pause(0.5)
    except StartError as exc:
        complain(str(exc))
        return 1
    except Stopped:
        say(_("stopping everything"))
        return 0
    finally:
        stack.stop()


if __name__ == "__main__":
    sys.exit(main())
