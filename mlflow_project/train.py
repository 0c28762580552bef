"""Train and register without promoting: `python -m mlflow_project.train`."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.cli import arguments
from core.cli.progress import Clock, say
from core.contract import names
from core.messages import N_, _
from core.mlflow_client.client import translated
from mlflow_project.make_dataset import DEFAULT_OUTPUT

if TYPE_CHECKING:
    from mlflow_project.runs.completion import Registered


def add_training_options(parser: arguments.Parser) -> None:
    """Add the options that training and retraining share."""
    parser.add_argument(
        "--version",
        type=_release,
        default="auto",
        metavar="v1.2.0",
        help=_("release to give the model (default: the next minor)"),
    )
    # A value, since an MLproject parameter cannot be a bare flag; without one it means true.
    parser.add_argument(
        "--force",
        nargs="?",
        const="true",
        default="false",
        choices=("true", "false"),
        help=_("train even if there is a version of the same data, code and parameters"),
    )


def _release(text: str) -> str | None:
    """Parse the requested release (an argparse type); `auto` or empty means the next minor."""
    return None if text in ("", "auto") else text


def report_result(result: "Registered") -> None:
    """Print the result, any decision left to a person, and the path of the report."""
    passed, not_passed = _("passes the criteria"), _("does not pass; it stays challenger")
    verdict = passed if result.passed else not_passed
    if result.existing:
        verdict = _("{verdict} (it existed already)", verdict=verdict)
    say(result.headline)
    facts = {"release": result.release, "number": result.number, "report": result.report}
    say(_("{release} (no. {number}) {verdict}. Report: {report}", **facts, verdict=verdict))
    if result.question:
        command = (
            f"python -m mlflow_project.registry promote --model_version {result.release} "
            '--force --reason "..."'
        )
        text = N_("only the capacity is exceeded, and that a person may decide: {question}")
        say(_(text, question=result.question))
        say(_("if yes, promote it and say who decided: {command}", command=command))


def guarded(work: Callable[[], None]) -> int:
    """Run `work`; report errors that the operator can correct as one line and an exit code."""
    # A fit of a thousand rows is slower on many threads than on one, and on a busy machine OpenMP's
    # spinning threads made it seventy times slower; it reads this at the import of scikit-learn.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    uri = names.configure_mlflow_environment()
    return arguments.run_command(translated(uri)(work))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    text = _("Trains and registers a new version as challenger, without promoting it.")
    parser = arguments.parser("mlflow_project.train", text)
    parser.add_argument(
        "--source", type=Path, default=DEFAULT_OUTPUT, help=_("dataset (default: %(default)s)")
    )
    add_training_options(parser)
    args = parser.parse_args(argv)

    def work() -> None:
        from mlflow_project.runs.training_run import train

        force = args.force == "true"
        report_result(train(args.source, args.version, force=force, clock=Clock()))

    return guarded(work)


if __name__ == "__main__":
    sys.exit(main())
