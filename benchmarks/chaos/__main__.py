"""`python -m benchmarks.chaos --minutes 15 --seed 1`: a campaign of faults, and its table."""

import argparse
import os
import signal
import sys
from pathlib import Path

from benchmarks.chaos.account import write_json
from benchmarks.chaos.campaign import run
from benchmarks.chaos.table import table
from benchmarks.chaos.verdict import is_sound


def main(arguments: list[str] | None = None) -> int:
    """Run a campaign; return 1 if a guarantee was violated, else 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pace", type=float, default=3.0, help="seconds between kills, and flips")
    parser.add_argument("--json", type=Path, help="write what was found here, too")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that clean-up runs
    for name in ("OMP_NUM_THREADS", "MLFLOW_DISABLE_TELEMETRY"):
        os.environ.setdefault(name, "1")
    found = run(60 * options.minutes, options.seed, options.pace)
    found = {"seed": options.seed, "pace": options.pace, **found}
    if options.json:
        write_json(options.json, found)
    sys.stdout.write(table(found) + "\n")
    return 0 if is_sound(found) else 1


if __name__ == "__main__":
    sys.exit(main())
