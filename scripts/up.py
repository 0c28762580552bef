"""Start the whole system on this machine: MLflow server, a champion, the proxy. Ctrl-C stops it.

It starts the project's own commands as processes and watches them; it imports none of them.
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

ROOT = Path(__file__).resolve().parents[1]
VAR = ROOT / "var"
SYNTHETIC = Path("data/raw/pede_synthetic.xlsx")
STUDENTS, SEED = 1200, 7
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StartError(Exception):
    """The system cannot start; the message says what to do."""


class Stopped(Exception):
    """Somebody asked us to stop."""


def say(text: str) -> None:
    """Print one step, at once."""
    sys.stdout.write(f"→ {text}\n")
    sys.stdout.flush()


def check_port(host: str, port: int, variable: str) -> None:
    """Raise StartError when the port is taken."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError as exc:
            raise StartError(
                f"não é possível usar {host}:{port} ({exc.strerror}); "
                f"escolha outra porta: make up {variable}={port + 1}"
            ) from exc


class Stack:
    """The processes that were started, each in its own group so that all of it can be stopped."""

    def __init__(self, env: Mapping[str, str]) -> None:
        """Remember the environment that every process gets."""
        self._env = {**os.environ, **env}
        self._processes: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._stopping = False
        for number in SIGNALS:
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """Only note it: an exception here could come between a start and its record."""
        self._stopping = True

    def pause(self, seconds: float) -> None:
        """Sleep a little, then raise Stopped if somebody asked us to stop."""
        time.sleep(seconds)
        if self._stopping:
            raise Stopped

    def start(self, name: str, command: Sequence[str], log: Path) -> None:
        """Start a server in the background; what it prints goes to `log`."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as out:
            process = subprocess.Popen(
                command, cwd=ROOT, env=self._env, stdout=out, stderr=out, start_new_session=True
            )
        self._processes.append((name, process))

    def run(self, what: str, command: Sequence[str]) -> None:
        """Run a job in the foreground, its words on the terminal.

        Raises:
            StartError: it failed.
        """
        process = subprocess.Popen(command, cwd=ROOT, env=self._env, start_new_session=True)
        self._processes.append((what, process))
        while (code := process.poll()) is None:
            self.pause(0.1)
        self._processes.pop()
        if code:
            raise StartError(f"{what} falhou (código {code}); a causa está logo acima")

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
            f"{name} não ficou pronta em {seconds:.0f} s; veja {log.relative_to(ROOT)} {said}"
        )

    def check(self) -> None:
        """Raise StartError when a server has ended by itself."""
        for name, process in self._processes:
            if process.poll() is not None:
                raise StartError(
                    f"{name} terminou sozinho (código {process.returncode}); veja var/"
                )

    def stop(self) -> None:
        """Stop everything, last started first: politely, then for certain."""
        for _, process in reversed(self._processes):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(20)
            # A server that has gone may have left children in its group.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


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
        say(f"gerando uma planilha PEDE sintética ({STUDENTS} estudantes): {SYNTHETIC}")
        command = [*("-m", "data.synthetic", "--students", str(STUDENTS), "--seed", str(SEED))]
        stack.run("o gerador", [sys.executable, *command, "--output", str(SYNTHETIC)])
    return SYNTHETIC


def start(args: argparse.Namespace, stack: Stack, mlflow_url: str, api_url: str) -> None:
    """Start server, champion and proxy, in this order."""
    say(f"iniciando o servidor MLflow em {mlflow_url} (até meio minuto)")
    log = VAR / "mlflow-server.log"
    server = [sys.executable, "-m", "mlflow", "server", "--host", args.host]
    server += ["--port", str(args.mlflow_port), "--workers", "1"]
    server += ["--backend-store-uri", f"sqlite:///{VAR / 'mlflow.db'}"]
    server += ["--artifacts-destination", str(VAR / "artifacts")]
    stack.start("o servidor MLflow", server, log)
    stack.wait_for("o servidor MLflow", f"{mlflow_url}/health", 180, log)

    model = os.environ.get("MODEL_NAME") or "risco-defasagem"
    alias = os.environ.get("MODEL_ALIAS") or "champion"
    if has_champion(mlflow_url, model, alias):
        say("já há uma versão champion; nada a treinar (para retreinar: mlflow run, ver README)")
    else:
        source = workbook(stack, args.source)
        say(f"treinando com {source} por mlflow run (cerca de um minuto)")
        run = [sys.executable, "-m", "mlflow", "run", ".", "--env-manager", "local"]
        run += ["--experiment-name", f"{model}-training", "-P", f"source={source}"]
        stack.run("o treino", run)
        if not has_champion(mlflow_url, model, alias):
            raise StartError(
                "o treino terminou, mas a versão não passou pelos critérios; "
                f"veja {mlflow_url}/#/models/{model}"
            )
    say(f"iniciando a API em {api_url}")
    log = VAR / "api.log"
    api = [sys.executable, "-m", "serving", "--host", args.host, "--port", str(args.api_port)]
    stack.start("a API", [*api, "--workers", str(args.workers)], log)
    stack.wait_for("a API", f"{api_url}/ready", 120, log)


def announce(mlflow_url: str, api_url: str) -> str:
    """Return what to look at and what to paste."""
    model = os.environ.get("MODEL_NAME") or "risco-defasagem"
    return f"""
Tudo no ar. Ctrl-C para tudo.

  Painel    {api_url}/painel
  API       {api_url}/docs
  Saúde     {api_url}/health
  MLflow    {mlflow_url}/#/models/{model}

Em outro terminal, antes dos comandos do RUNBOOK:

  source .venv/bin/activate && export MLFLOW_TRACKING_URI={mlflow_url}

Experimente:

  curl -X POST {api_url}/predict -H "Content-Type: application/json" \\
    -d '{{"instances": [{{"fase_2023": 3, "idade_2023": 15, "iaa_2023": 6.5}}]}}'

"""


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the options that `make up` passes."""
    parser = argparse.ArgumentParser(description="Inicia MLflow, treino (se preciso) e API.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--api-port", type=int, default=8000)
    parser.add_argument("--mlflow-port", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--source", help="planilha PEDE (.xlsx); padrão: uma sintética")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Start everything, wait, stop everything; return the exit code."""
    args = parse(argv)
    shown = "127.0.0.1" if args.host in ("0.0.0.0", "::") else args.host  # noqa: S104
    mlflow_url = f"http://{shown}:{args.mlflow_port}"
    api_url = f"http://{shown}:{args.api_port}"
    load_dotenv(ROOT / ".env")  # what the environment says wins
    env = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "MLFLOW_TRACKING_URI": mlflow_url,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    stack = Stack(env)
    try:
        if args.source and not Path(args.source).is_file():
            raise StartError(f"a planilha {args.source} não existe; corrija SOURCE=...")
        check_port(args.host, args.mlflow_port, "MLFLOW_PORT")
        check_port(args.host, args.api_port, "API_PORT")
        start(args, stack, mlflow_url, api_url)
        sys.stdout.write(announce(mlflow_url, api_url))
        sys.stdout.flush()
        while True:
            stack.check()
            stack.pause(0.5)
    except StartError as exc:
        sys.stderr.write(f"erro: {exc}\n")
        return 1
    except Stopped:
        say("parando tudo")
        return 0
    finally:
        stack.stop()


if __name__ == "__main__":
    sys.exit(main())
