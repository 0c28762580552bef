"""What the jobs' command lines share: arguments, and errors as one line."""

import argparse
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from core.contract.names import CHAMPION, DEFAULT_INFERENCE_STORE
from core.errors import ProjectError
from core.store.filesystem import Store
from core.store.places import journal_folder as journal_folder_of
from core.store.places import store_place
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
    """Add `--inference_store`: a folder or a bucket."""
    parser.add_argument(
        "--inference_store",
        type=_store,
        metavar="DIR",
        default=os.environ.get("INFERENCE_STORE") or DEFAULT_INFERENCE_STORE,
        help="onde a API guarda o que respondeu, um diretório ou s3://bucket/prefixo "
        "(padrão: %(default)s)",
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


def journal_folder(store: Store) -> Path:
    """Return where the store's journals are."""
    return store.journals


def _store(text: str) -> Store:
    """Return the store of an address; the environment may have moved its own store's journals."""
    try:
        place = store_place(text)
    except ValueError:
        reason = "não é um diretório nem s3://bucket/prefixo (sem chaves de acesso)"
        raise argparse.ArgumentTypeError(f"o inference store {reason}") from None
    ours = text == (os.environ.get("INFERENCE_STORE") or DEFAULT_INFERENCE_STORE)
    return Store(place, journal_folder_of(place, os.environ.get("JOURNAL_DIR", "") if ours else ""))


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
    except (MonitoringError, ProjectError) as exc:
        sys.stderr.write(f"Erro: {exc}\n")
        return EXIT_FAILED
    except KeyboardInterrupt:
        sys.stderr.write("Interrompido.\n")
        return 130
