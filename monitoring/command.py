"""What the jobs' command lines share: arguments, and errors as one line."""

import argparse
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from mlflow_project.contract.names import CHAMPION, DEFAULT_INFERENCE_STORE
from monitoring.errors import MonitoringError

EXIT_FAILED = 1
EXIT_DRIFT = 3
DEFAULT_OUTPUT = Path("monitoring/reports")

_MAX_DAYS = 36_500


def add_version(parser: argparse.ArgumentParser) -> None:
    """Add `--model_version`; absent, empty or `champion` means the champion (None)."""
    parser.add_argument(
        "--model_version",
        type=release,
        metavar="v1.2.3",
        help="versão a usar; sem ela, a que está no ar (champion)",
    )


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add `--inference_store`."""
    parser.add_argument(
        "--inference_store",
        type=Path,
        metavar="DIR",
        default=Path(os.environ.get("INFERENCE_STORE") or DEFAULT_INFERENCE_STORE),
        help="onde a API guarda o que respondeu (padrão: %(default)s)",
    )


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add `--output`."""
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        default=DEFAULT_OUTPUT,
        help="onde gravar os relatórios (padrão: %(default)s)",
    )


def journal_folder(store: Path) -> Path | None:
    """Return where the store's journals are when the environment has moved them, else None."""
    moved = os.environ.get("JOURNAL_DIR")
    ours = Path(os.environ.get("INFERENCE_STORE") or DEFAULT_INFERENCE_STORE)
    return Path(moved) if moved and store == ours else None


def days(text: str) -> float | None:
    """Read a number of days above 0; empty is None (an argparse type)."""
    if not text:
        return None
    number = float(text) if re.fullmatch(r"\d{1,6}(\.\d+)?", text) else 0.0
    if not 0 < number <= _MAX_DAYS:
        raise argparse.ArgumentTypeError(f"{text!r} não é um número de dias maior que zero")
    return number


def release(text: str) -> str | None:
    """Read a release; empty or `champion` is None (an argparse type)."""
    if text in ("", CHAMPION):
        return None
    if not re.fullmatch(r"v\d+\.\d+\.\d+", text):
        raise argparse.ArgumentTypeError(f"{text!r} não tem a forma v1.2.3")
    return text


def say(*lines: str) -> None:
    """Print lines for the operator."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def run(job: Callable[[], int]) -> int:
    """Run a job and return its exit code; an error that a person can meet becomes one line."""
    try:
        return job()
    except MonitoringError as exc:
        sys.stderr.write(f"Erro: {exc}\n")
        return EXIT_FAILED
    except KeyboardInterrupt:
        sys.stderr.write("Interrompido.\n")
        return 130
