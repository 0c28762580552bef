"""Simulated error rates of the drift status: false alarms and missed shifts.

Each draw fits a baseline and compares one window with it, by the same two public functions that
the jobs call. `python -m benchmarks.drift_simulation` prints the tables of
docs/drift-statistics.md; the tests use fewer draws.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from monitoring.drift.comparison import Status, compare
from monitoring.drift.fitting import fit_baseline
from monitoring.drift.policy import DriftPolicy

N_BASELINE = 765
N_FEATURES = 14
SIZES = (30, 50, 100, 200, 500, 1000)
HALF_OF_TWO = 0.6745
"""Shift of the normal variable that moves a feature of two values, split at the median, by half of
its own standard deviation: from 50 % to 75 %. A shift by 0.5 moves it to 69 %, 0.38 of its own."""


@dataclass(frozen=True)
class Scenario:
    """A distribution: share of missing values, and how many values a feature takes (0: any)."""

    name: str
    missing: float = 0.0
    values: int = 0

    def table(self, rng: np.random.Generator, rows: int, shift: float = 0.0) -> pa.Table:
        """Draw rows whose first feature is shifted by `shift` standard deviations."""
        latent = rng.normal(size=(N_FEATURES, rows))
        latent[0] += shift
        if self.values:
            # Equal steps over ±2 standard deviations give unequal counts, small at the ends.
            latent = np.clip(np.round((latent + 2) / 4 * (self.values - 1)), 0, self.values - 1)
        absent = rng.random((N_FEATURES, rows)) < self.missing
        columns = {f"x{i}": pa.array(latent[i], mask=absent[i]) for i in range(N_FEATURES)}
        return pa.table({**columns, "score": pa.array(rng.beta(2, 3, rows))})


SCENARIOS = (
    Scenario("continuous"),
    Scenario("continuous, 10 % missing", missing=0.10),
    Scenario("continuous, 2 % missing", missing=0.02),
    Scenario("7 values", values=7),
    Scenario("7 values, 10 % missing", missing=0.10, values=7),
    Scenario("2 values", values=2),
)


def statuses(
    scenario: Scenario,
    rows: int,
    draws: int,
    *,
    shift: float = 0.0,
    seed: int = 0,
    policy: DriftPolicy | None = None,
) -> Counter[Status]:
    """Count the global statuses of `draws` pairs of baseline and window.

    With a shift, the status of the shifted feature is counted instead.
    """
    rng = np.random.default_rng([seed, rows, int(shift * 100)])
    counted: Counter[Status] = Counter()
    for _ in range(draws):
        baseline = fit_baseline(scenario.table(rng, N_BASELINE))
        result = compare(baseline, scenario.table(rng, rows, shift), policy)
        counted[result.features[0].status if shift else result.global_status] += 1
    return counted


def share(counted: Counter[Status], wanted: Iterable[Status]) -> float:
    """Return the share of draws that got one of the `wanted` statuses."""
    return sum(counted[status] for status in wanted) / counted.total()


def main() -> None:
    """Print both tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=1000)
    draws = parser.parse_args().draws
    out = sys.stdout.write
    out("| same distribution | " + " | ".join(f"n={n}" for n in SIZES) + " |\n")
    out("|---" * (len(SIZES) + 1) + "|\n")
    for scenario in SCENARIOS:
        cells = []
        for rows in SIZES:
            counted = statuses(scenario, rows, draws)
            yellow, red = (100 * share(counted, [s]) for s in (Status.YELLOW, Status.RED))
            cells.append(f"{yellow:.1f} / {red:.1f}")
        out(f"| {scenario.name} | " + " | ".join(cells) + " |\n")
        sys.stdout.flush()
    out("\n| one feature shifted | " + " | ".join(f"n={n}" for n in SIZES) + " |\n")
    out("|---" * (len(SIZES) + 1) + "|\n")
    for scenario in SCENARIOS:
        for shift in (0.25, 0.5, *([HALF_OF_TWO] if scenario.values == 2 else []), 1.0):
            cells = []
            for rows in SIZES:
                counted = statuses(scenario, rows, max(draws // 5, 100), shift=shift)
                alarm = share(counted, [Status.YELLOW, Status.RED])
                cells.append(f"{100 * alarm:.0f} / {100 * share(counted, [Status.RED]):.0f}")
            out(f"| {scenario.name}, {shift} sd | " + " | ".join(cells) + " |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
