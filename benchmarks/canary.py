"""Simulated rate of false stops of a tolerable canary, and requests until a worse one is stopped.

`python -m benchmarks.canary` takes ten minutes and rewrites its section of benchmarks/RESULTS.md;
`--quick` simulates a tenth and writes nothing. A month has 30,000 requests, of which the canary
serves a tenth; the tests are evaluated after each one. "As good as tolerated" is the worst canary
that the null hypotheses allow, in every measure at once.
"""

import argparse
import statistics
import sys
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from benchmarks.results import keep, machine
from core.metrics.sequential import log_evidence, trials_share
from serving.config.settings import Settings
from serving.deployment.trial import ENOUGH_TESTS

REQUESTS, SHARE = 30_000, 0.1
ERRORS, SLOW, FLAGGED = 0.005, 0.01, 0.4
SETTINGS = Settings(mlflow_tracking_uri="http://127.0.0.1:1")


@dataclass(frozen=True, slots=True)
class Truth:
    """True rates of a canary, as multiples of the champion's, and its share of agreement."""

    name: str
    errors: float = 1.0
    slow: float = 1.0
    flagged: float = 1.0
    agreement: float = 0.95


ALIKE = Truth("as good as the champion")
TOLERATED = Truth(
    "as good as tolerated",
    *(SETTINGS.canary_ratio,) * 3,
    agreement=SETTINGS.canary_agreement,
)
WORSE = (
    Truth("errors 4 times as frequent", errors=4),
    Truth("errors 20 times as frequent", errors=20),
    Truth("slow answers 10 times as frequent", slow=10),
    Truth("flags 2 times as frequent", flagged=2),
    Truth("flags a third as frequent", flagged=1 / 3),
    Truth("agrees in 65 %", agreement=0.65),
)


def stopped_at(rng: np.random.Generator, truth: Truth) -> int | None:
    """Return the index of the request after which a month's canary is stopped; None if never."""
    own = rng.random(REQUESTS) < SHARE
    ends = []
    for rate, times in ((ERRORS, truth.errors), (SLOW, truth.slow), (FLAGGED, truth.flagged)):
        bad = rng.random(REQUESTS) < np.where(own, min(rate * times, 1.0), rate)
        ends.append(_end(own, bad, trials_share(SHARE, SETTINGS.canary_ratio)))
        if rate == FLAGGED:
            ends.append(_end(~own, bad, trials_share(1 - SHARE, SETTINGS.canary_ratio)))
    differing = rng.random(REQUESTS) >= truth.agreement
    ends.append(_end(differing, own, 1 - SETTINGS.canary_agreement))
    return min((end for end in ends if end is not None), default=None)


def _end(events: np.ndarray, trials: np.ndarray, most: float) -> int | None:
    """Return the request's index at which the evidence suffices; None if it never does.

    The evidence is computed only where the share of events in the trials exceeds `most`.
    """
    places = np.flatnonzero(trials)
    counts = np.cumsum(events[places])
    enough = np.log(ENOUGH_TESTS / SETTINGS.canary_alpha)
    for n in np.flatnonzero(counts > most * np.arange(1, len(places) + 1)):
        if log_evidence(int(counts[n]), int(n) + 1, most) >= enough:
            return int(places[n])
    return None


def main() -> int:
    """Simulate, print, and save the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth; keeps nothing")
    quick = parser.parse_args().quick
    months = 200 if quick else 2000
    text = "\n".join(report(months))
    sys.stdout.write(f"{text}\n")
    if not quick:
        keep("canary", "Canary", text)
    return 0


def report(months: int) -> list[str]:
    """Return the section's lines."""
    rng = np.random.default_rng(2026)
    lines = [
        f"Machine: {machine()}.",
        "",
        f"Months of {REQUESTS:,} requests, {SHARE:.0%} of them the canary's, α = "
        f"{SETTINGS.canary_alpha:g}, looked at after each request. Champion: errors {ERRORS:.1%}, "
        f"slow {SLOW:.0%}, flagged {FLAGGED:.0%}.",
        "",
        "| canary | months | stopped | requests until then, median |",
        "|---|---|---|---|",
    ]
    false = 0
    for truth in (ALIKE, TOLERATED, *WORSE):
        turns = months if truth in (ALIKE, TOLERATED) else months // 20
        found = [stopped_at(rng, truth) for _ in range(turns)]
        ends = [end + 1 for end in found if end is not None]
        after = f"{statistics.median(ends):,.0f}" if ends else "–"
        lines.append(f"| {truth.name} | {turns:,} | {len(ends):,} | {after} |")
        false = len(ends) if truth is TOLERATED else false
    bound = int(binom.ppf(0.999, months, SETTINGS.canary_alpha))
    return [
        *lines,
        "",
        "| to reach | limit | measured |",
        "|---|---|---|",
        f"| false stops, as good as tolerated | ≤ 1 % | {false / months:.2%} |",
        f"| of {months:,} at α, binomial bound | ≤ {bound} | {false} |",
    ]


if __name__ == "__main__":
    sys.exit(main())
