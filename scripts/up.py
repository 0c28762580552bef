"""Start the whole system on this machine: MLflow server, a champion, the proxy. Ctrl-C stops it.

It runs the project's own commands as child processes and monitors them; of the project's packages
it imports only `core`, which is quick. It ends with its terminal and with `make`; if it is killed,
`scripts/starting/guard.py` ends the processes that it started.
"""

import argparse
import os
import shlex
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

from core.cli.arguments import Parser, parser, run_command
from core.cli.progress import say
from core.contract.names import CHAMPION, model_name
from core.messages import N_, _
from scripts.starting.addresses import LOOPBACK, Options, check_port, load_env_file, read_options
from scripts.starting.database import newer, older, revision
from scripts.starting.processes import ROOT, Stack, StartError, Stopped

VAR = ROOT / "var"
DATABASE = VAR / "mlflow.db"
SYNTHETIC = Path("data/raw/pede_synthetic.xlsx")
STUDENTS, SEED = 1200, 7


def has_champion(mlflow_url: str) -> bool:
    """Query the registry's alias over REST; importing MLflow for one query would cost seconds."""
    query = urlencode({"name": model_name(), "alias": os.environ.get("MODEL_ALIAS") or CHAMPION})
    url = f"{mlflow_url}/api/2.0/mlflow/registered-models/alias?{query}"
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        return False


def workbook(stack: Stack, source: str | None) -> Path:
    """Return the workbook to train on: `source`, or a synthetic one, made if it is missing."""
    if source:
        return Path(source).resolve()
    if not (ROOT / SYNTHETIC).exists():
        facts = {"students": STUDENTS, "path": SYNTHETIC}
        say(_("making a synthetic PEDE workbook ({students} students): {path}", **facts))
        command = [sys.executable, "-m", "data.synthetic", "--students", str(STUDENTS)]
        command += ["--seed", str(SEED), "--output", str(SYNTHETIC)]
        stack.run(_("the generator"), command)
    return SYNTHETIC


def training(source: Path) -> list[str]:
    """Return the command that trains on a workbook, as typed in a shell."""
    run = ["mlflow", "run", ".", "--env-manager", "local"]
    return [*run, "--experiment-name", f"{model_name()}-training", "-P", f"source={source}"]


def upgrade_database(database: Path, stack: Stack) -> None:
    """Back up, then upgrade tables of an older MLflow, on which the installed one does not start.

    Raises:
        StartError: the tables are of a newer MLflow, or a step failed.
    """
    has = revision(database)
    if newer(has):
        message = N_("{path} was written by a newer MLflow than is installed here")
        raise StartError(message, path=database)
    if not older(has):
        return
    say(_("the registry is of an older MLflow: backing it up, then upgrading its database"))
    stack.run(_("the backup"), [sys.executable, "-m", "scripts.backup", str(ROOT / "backups")])
    upgrade = [sys.executable, "-m", "mlflow", "db", "upgrade", f"sqlite:///{database}"]
    stack.run(_("the upgrade"), upgrade)


def start_mlflow(options: Options, stack: Stack) -> None:
    """Start the MLflow server."""
    url = options.mlflow_url
    say(_("starting the MLflow server at {url} (up to half a minute)", url=url))
    log = VAR / "mlflow-server.log"
    stack.start(_("the MLflow server"), mlflow_command(options), log)
    stack.wait_for(_("the MLflow server"), f"{url}/health", 180, log)


def mlflow_command(options: Options) -> list[str]:
    """Return the command of the MLflow server."""
    server = [sys.executable, "-m", "mlflow", "server", "--host", LOOPBACK]
    server += ["--port", str(options.mlflow_port), "--workers", "1"]
    server += ["--backend-store-uri", f"sqlite:///{DATABASE}"]
    return [*server, "--artifacts-destination", str(VAR / "artifacts")]


def api_command(options: Options) -> list[str]:
    """Return the command of the proxy."""
    api = [sys.executable, "-m", "serving", "--host", options.host]
    return [*api, "--port", str(options.api_port), "--workers", str(options.workers)]


def ensure_champion(options: Options, stack: Stack) -> None:
    """Train a first version if the alias is not set; else print that nothing is trained.

    Raises:
        StartError: the training failed, or its version did not pass the gate.
    """
    if has_champion(options.mlflow_url):
        say(_("there is a champion; nothing to train (to retrain: mlflow run, see README)"))
        if options.source:
            command = shlex.join(training(Path(options.source).resolve()))
            say(_("SOURCE is ignored, since there is a champion. To train on it: {c}", c=command))
        return
    source = workbook(stack, options.source)
    say(_("training on {source} by mlflow run (about a minute)", source=source))
    stack.run(_("the training"), [sys.executable, "-m", *training(source)])
    if not has_champion(options.mlflow_url):
        message = N_("the training ended, but the version did not pass the gate; see {url}")
        raise StartError(message, url=f"{options.mlflow_url}/#/models/{model_name()}")


def start_api(options: Options, stack: Stack) -> None:
    """Start the proxy."""
    say(_("starting the API at {url}", url=options.api_url))
    log = VAR / "api.log"
    stack.start(_("the API"), api_command(options), log)
    stack.wait_for(_("the API"), f"{options.api_url}/ready", 120, log)


def announce(options: Options) -> str:
    """Return the message of a completed start: addresses, and commands to paste."""
    mlflow_url, api_url = options.mlflow_url, options.api_url
    places = {
        _("Panel"): f"{api_url}/painel",
        "API": f"{api_url}/docs",
        _("Health"): f"{api_url}/health",
        "MLflow": f"{mlflow_url}/#/models/{model_name()}",
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


def warn(options: Options) -> None:
    """Print warnings on settings that leave the API open or the captured rows without identity."""
    if not os.environ.get("PSEUDONYM_KEY"):
        text = _(
            "PSEUDONYM_KEY is not set: answers are captured without pseudonyms, and what "
            "is captured now can never be joined with labels by person (.env.example)"
        )
        say(text)
    if options.is_open:
        text = _(
            "the API is open to the network ({host}); MLflow stays on {loopback}, since nobody "
            "has to log in there",
            host=options.host,
            loopback=LOOPBACK,
        )
        say(text)
        if not os.environ.get("API_KEYS"):
            say(_("API_KEYS is not set: whoever reaches this machine may ask (.env.example)"))


def build_parser() -> Parser:
    """Return the parser; options that are not given come from the environment."""
    arguments = parser("scripts.up", _("Start MLflow, train if need be, start the API."))
    arguments.add_argument("--host", help=_("address (default: HOST, BIND_ADDRESS, 127.0.0.1)"))
    arguments.add_argument("--api-port", help=_("port (default: {n})", n="API_PORT, 8000"))
    arguments.add_argument("--mlflow-port", help=_("port (default: {n})", n="MLFLOW_PORT, 5000"))
    arguments.add_argument("--workers", help=_("workers (default: WORKERS, 1)"))
    upgrade = _("only upgrade the database of an older MLflow, after a backup")
    arguments.add_argument("--upgrade-only", action="store_true", help=upgrade)
    arguments.add_argument("--source", help=_("PEDE workbook (.xlsx); default: a synthetic one"))
    return arguments


def child_environment(options: Options) -> dict[str, str]:
    """Return the variables that are added to the environment of the started commands."""
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "MLFLOW_TRACKING_URI": options.mlflow_url,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # `mlflow run` logs in English what the training that it runs prints itself.
        "MLFLOW_LOGGING_LEVEL": os.environ.get("MLFLOW_LOGGING_LEVEL") or "WARNING",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "SHEET_READER": os.environ.get("SHEET_READER") or "mlflow_project.lists",
        "PANEL_GROUP": os.environ.get("PANEL_GROUP") or "fase",
    }


def check(options: Options) -> None:
    """Check workbook and ports before anything is started.

    Raises:
        StartError: the workbook does not exist, or a port or address cannot be used.
    """
    if options.source and not Path(options.source).is_file():
        message = N_("the workbook {path} does not exist; correct SOURCE=...")
        raise StartError(message, path=options.source)
    check_port(LOOPBACK, options.mlflow_port, "MLFLOW_PORT")
    check_port(options.host, options.api_port, "API_PORT")


def run(args: argparse.Namespace) -> int:
    """Start everything, wait, stop everything; return the exit code."""
    load_env_file(ROOT / ".env")
    options = read_options(args, os.environ)
    if not args.upgrade_only:
        check(options)
        warn(options)
    stack = Stack(child_environment(options))
    try:
        upgrade_database(DATABASE, stack)
        if args.upgrade_only:
            return 0
        start_mlflow(options, stack)
        ensure_champion(options, stack)
        start_api(options, stack)
        sys.stdout.write(announce(options))
        sys.stdout.flush()
        while True:
            stack.check()
            stack.pause(0.5)
    except Stopped:
        say(_("stopping everything"))
        return int(args.upgrade_only)  # else the unit would start all the same
    finally:
        stack.stop()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    args = build_parser().parse_args(argv)
    return run_command(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())
