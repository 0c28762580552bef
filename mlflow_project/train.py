"""Train and register without promoting: `python -m mlflow_project.train`."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.cli.progress import Clock, say
from core.contract import names
from mlflow_project.make_dataset import DEFAULT_OUTPUT
from mlflow_project.pede.errors import DataError

if TYPE_CHECKING:
    from mlflow_project.runs.training_run import Registered


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that training and retraining share."""
    parser.add_argument(
        "--version",
        default="auto",
        metavar="v1.2.0",
        help="versão a dar ao modelo (padrão: a próxima minor)",
    )
    # A value, since an MLproject parameter cannot be a bare flag; without one it means true.
    parser.add_argument(
        "--force",
        nargs="?",
        const="true",
        default="false",
        choices=("true", "false"),
        help="treina mesmo que já haja versão dos mesmos dados, código e parâmetros",
    )


def requested_release(text: str) -> str | None:
    """Return the release asked for; `auto` and nothing mean the next minor."""
    return None if text in ("", "auto") else text


def report_result(result: "Registered") -> None:
    """Print the outcome and where to read more."""
    verdict = "aprovada nos critérios" if result.passed else "reprovada; fica como challenger"
    if result.existing:
        verdict += " (já existia)"
    say(result.headline)
    say(f"{result.release} (nº {result.number}) {verdict}. Relatório: {result.report}")


def guarded(work: Callable[[], None]) -> int:
    """Run `work`; turn what a person can mend into one line and an exit code."""
    # A fit of a thousand rows is slower on many threads than on one, and on a busy machine OpenMP's
    # spinning threads made it seventy times slower; it reads this when scikit-learn is imported.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    names.configure_mlflow_environment()
    from core.registry.errors import RegistryError
    from mlflow_project.modelling.training import TrainingError

    try:
        work()
    except (DataError, TrainingError, RegistryError) as exc:
        sys.stderr.write(f"erro: {exc}\n")
        return 2 if isinstance(exc, DataError) else 1
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m mlflow_project.train",
        description="Treina e registra uma nova versão como challenger, sem promovê-la.",
    )
    parser.add_argument(
        "--source", type=Path, default=DEFAULT_OUTPUT, help="conjunto (padrão: %(default)s)"
    )
    add_training_options(parser)
    args = parser.parse_args(argv)

    def work() -> None:
        from mlflow_project.runs.training_run import train

        clock = Clock()
        release = requested_release(args.version)
        report_result(train(args.source, release, force=args.force == "true", clock=clock))

    return guarded(work)


if __name__ == "__main__":
    sys.exit(main())
