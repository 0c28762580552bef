"""Retraining: workbook → dataset → training → registry → baseline → gate → promotion.

`python -m mlflow_project.retrain --source PEDE.xlsx`, the main entry point of `mlflow run`.
"""

import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from core.cli import arguments
from core.cli.progress import Clock, say
from core.contract import names
from core.messages import _
from mlflow_project.make_dataset import DEFAULT_OUTPUT, make_dataset
from mlflow_project.train import add_training_options, guarded, report_result

if TYPE_CHECKING:
    from core.registry.versions import Registry, Version


def retrain(source: Path, dataset: Path, requested: str | None, *, force: bool = False) -> None:
    """Train on a workbook and promote the result if it passes the gate and breaks no client.

    A version that fails stays `challenger`, its reasons in its tags; that is no error. An existing
    version of the same data, code and parameters is promoted only if it never was, so that a
    rollback is not undone.

    Raises:
        DataError, TrainingError, RegistryError: errors that the operator can correct.
    """
    say(_("reading {source}", source=source))
    clock = Clock()
    with clock.step("read"):
        reading = make_dataset(source, dataset, os.environ.get("PSEUDONYM_KEY"))
    arguments.say(reading.table())
    with clock.step("import"):
        from core.registry.packages import read_contract
        from core.registry.versions import open_registry
        from mlflow_project.flips.promotion import breaking_changes, promote
        from mlflow_project.runs.training_run import train

    result = train(dataset, requested, force=force, clock=clock)
    report_result(result)
    registry, release = open_registry(), result.release
    version, champion = registry.by_release(release), registry.aliases().get(names.CHAMPION)
    new = result.passed and not was_served(registry, version)
    breaks = breaking_changes(registry, champion, read_contract(registry, version)) if new else []
    if breaks:
        facts = {"release": release, "changes": "; ".join(breaks)}
        say(_("{release} breaks clients of today's API: {changes}", **facts))
        command = "registry promote --accept-contract-change"
        say(_("tell the clients; to promote it: {command}", command=command))
    elif new:
        with clock.step("promote"):
            promote(registry, release, _("retraining passed the criteria"))
        say(_("{release} is champion; the API adopts it within seconds", release=release))
    elif champion == result.number:
        say(_("{release} is champion already", release=release))
    elif result.passed:
        facts = {"release": release, "command": "registry promote"}
        say(_("{release} was champion; to go back to it: {command}", **facts))
    say(_("time: {clock}", clock=clock))


def was_served(registry: "Registry", version: "Version") -> bool:
    """Return whether a version was ever champion, by the ledger.

    An entry older than the version refers to a deleted model's version of the same number; one hour
    of clock difference is allowed, since the ledger's time is the client's.
    """
    from mlflow_project.flips.ledger import Ledger

    return any(
        entry.moved_champion
        and entry.after == str(version.number)
        and entry.when >= version.created - timedelta(hours=1)
        for entry in Ledger(registry).entries()
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    text = _("Retrains with the PEDE workbook, registers, and promotes if the criteria let it.")
    parser = arguments.parser("mlflow_project.retrain", text)
    parser.add_argument("--source", type=Path, required=True, help=_("PEDE workbook (.xlsx)"))
    parser.add_argument(
        "--dataset",
        type=Path,
        default=DEFAULT_OUTPUT,
        help=_("where to write it (default: %(default)s)"),
    )
    add_training_options(parser)
    args = parser.parse_args(argv)
    force = args.force == "true"
    return guarded(lambda: retrain(args.source, args.dataset, args.version, force=force))


if __name__ == "__main__":
    sys.exit(main())
