"""`python -m monitoring.compact`: merge past days' Parquet files (`core.upkeep.compaction`)."""

import argparse
import sys
from collections.abc import Sequence

from core.cli.arguments import parser, run_command, say
from core.messages import N_, _
from core.store.errors import StoreError
from core.store.filesystem import Store
from core.store.quarantined import EXIT_QUARANTINED, told
from core.upkeep.compaction import KEEP_MINUTES, compact
from monitoring.command import add_store


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser(
        "monitoring.compact",
        _(
            "Merges the Parquet files of each past day and version into one. It can run at any "
            "time, with the API up; what was merged is removed by a later run."
        ),
    )
    add_store(options)
    options.add_argument(
        "--keep_minutes",
        type=_minutes,
        default=KEEP_MINUTES,
        metavar="N",
        help=_(
            "minutes that merged files still stay, for whoever is reading them "
            "(default: %(default)g)"
        ),
    )
    args = options.parse_args(arguments)
    return run_command(lambda: _job(args.inference_store, args.keep_minutes))


def _job(store: Store, keep_minutes: float) -> int:
    if store.folder is not None and not store.folder.is_dir():
        raise StoreError(N_("the inference store {store} does not exist"), store=store)
    done = compact(store, keep_minutes)
    say(done.said(store), *told(done.quarantined))
    return EXIT_QUARANTINED if done.quarantined else 0


def _minutes(text: str) -> float:
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(_("{text!r} is not a number of minutes", text=text))
    return number


if __name__ == "__main__":
    sys.exit(main())
