"""The whole routine: workbook → dataset → training → registry → baseline → gate → promotion.

`python -m mlflow_project.retrain --source PEDE.xlsx`, the main entry point of `mlflow run`.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mlflow_project.make_dataset import DEFAULT_OUTPUT, make_dataset
from mlflow_project.progress import say
from mlflow_project.train import add_release_option, guarded, report_result, requested_release


def retrain(source: Path, dataset: Path, requested: str | None) -> None:
    """Train on a workbook and promote the result if the gate lets it through.

    A version that fails stays `challenger`, its reasons in its tags; that is no error.

    Raises:
        DataError, TrainingError, RegistryError: what a person can mend.
    """
    say(f"lendo {source}")
    reading = make_dataset(source, dataset, os.environ.get("PSEUDONYM_KEY"))
    sys.stdout.write(reading.table() + "\n")
    from mlflow_project.promotion import promote
    from mlflow_project.training_run import train
    from mlflow_project.versions import Registry

    result = train(dataset, requested, reading.to_dict())
    report_result(result)
    if result.passed:
        promote(Registry(), result.release, "retreino aprovado nos critérios")
        say(f"{result.release} é a champion; a API a adota em segundos")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m mlflow_project.retrain",
        description="Retreina com a planilha PEDE, registra, e promove se os critérios deixam.",
    )
    parser.add_argument("--source", type=Path, required=True, help="planilha PEDE (.xlsx)")
    parser.add_argument(
        "--dataset", type=Path, default=DEFAULT_OUTPUT, help="onde gravar (padrão: %(default)s)"
    )
    add_release_option(parser)
    args = parser.parse_args(argv)
    return guarded(lambda: retrain(args.source, args.dataset, requested_release(args.version)))


if __name__ == "__main__":
    sys.exit(main())
