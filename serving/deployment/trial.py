"""Which requests a canary answers, what is counted of both versions, and when that is enough.

A request is given to the canary by a hash, so within a moment of the day the two versions meet the
same clients. Of all bad events (errors, slow answers, flags) the canary's part can then be at most
`core.metrics.sequential.trials_share`, whatever their rate is at that hour: each is tested on the
events alone. A person counts once, since all their requests go to the same version.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

from core.contract.pseudonym import stored
from core.messages import N_, _
from core.messages.formats import percent
from core.metrics.sequential import log_evidence, trials_share
from serving.config.settings import Settings
from serving.engine.job import Job
from serving.following.served import ServedModel

CHAMPION, CANARY = "champion", "canary"
ARMS = (CHAMPION, CANARY)
REQUESTS, ERRORS, SLOW, FLAGGED = "requests", "errors", "slow", "flagged"
COMPARED, DIFFERING = "compared", "differing"

ENOUGH_TESTS = 5
"""Tests that share α: flagged is one of too many and one of too few."""

Counts = Mapping[tuple[str, str], int]
"""How many requests, by arm and outcome."""


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A canary that answers a share of the requests now, beside the champion that it fits to.

    `begun` tells which start of a canary this is; `key` is that of the pseudonyms.
    """

    champion: ServedModel
    model: ServedModel
    share: float
    begun: str
    key: str

    @property
    def name(self) -> str:
        """Return what is counted apart: a start of a canary beside one champion."""
        return f"{self.model.version.name} {self.begun} no. {self.champion.version.number}"

    def person(self, job: Job) -> str | None:
        """Return the pseudonym of a request about one person; None for any other."""
        if len(job.instances.rows) != 1:
            return None
        prefix = job.model.version.contract.entity_prefix
        return stored(job.instances.entities[0], self.key, prefix)

    def takes(self, identity: str) -> bool:
        """Tell whether what has this identity is the canary's; a greater share keeps the smaller.

        The hash is over the version too, so that another canary meets others.
        """
        target = self.model.version.target
        text = f"{target.number} {target.created_ms} {identity}".encode()
        digest = hashlib.blake2b(text, digest_size=8).digest()
        return int.from_bytes(digest) < self.share * 2**64


@dataclass(frozen=True, slots=True)
class Measure:
    """One comparison of the two versions.

    `champion` and `canary` are rates, None without trials; `evidence` is ln of the e-value that the
    canary is worse than tolerated, `enough` that from which it is stopped.
    """

    name: str
    champion: float | None
    canary: float | None
    evidence: float
    enough: float

    @property
    def weight(self) -> float:
        """Return the part of the evidence that is enough, from 0 to 1."""
        return min(max(self.evidence / self.enough, 0.0), 1.0)


def measures(counts: Counts, share: float, settings: Settings) -> list[Measure]:
    """Return the comparisons that decide about a canary."""

    def count(arm: str, outcome: str) -> int:
        return counts.get((arm, outcome), 0)

    def against(outcome: str, arm: str, part: float) -> float:
        events, least = count(arm, outcome), count(CHAMPION, outcome) + count(CANARY, outcome)
        return log_evidence(events, least, trials_share(part, settings.canary_ratio))

    def rates(outcome: str) -> tuple[float | None, float | None]:
        one, other = (_rate(count(arm, outcome), count(arm, REQUESTS)) for arm in ARMS)
        return one, other

    # An answer by everybody's canary has no champion beside it.
    part = min(share, 1 - 1e-9)
    more, fewer = against(FLAGGED, CANARY, part), against(FLAGGED, CHAMPION, 1 - part)
    compared, differing = count(CANARY, COMPARED), count(CANARY, DIFFERING)
    tolerated = min(max(1 - settings.canary_agreement, 1e-9), 1 - 1e-9)
    apart = log_evidence(differing, compared, tolerated)
    enough = math.log(ENOUGH_TESTS / settings.canary_alpha)
    agreeing = _rate(compared - differing, compared)
    return [
        Measure(N_("errors"), *rates(ERRORS), against(ERRORS, CANARY, part), enough),
        Measure(N_("slow answers"), *rates(SLOW), against(SLOW, CANARY, part), enough),
        Measure(N_("flagged"), *rates(FLAGGED), max(more, fewer), enough),
        Measure(N_("same label"), None, agreeing, apart, enough),
    ]


def worst(found: list[Measure]) -> Measure:
    """Return the measure with most evidence."""
    return max(found, key=lambda one: one.evidence)


def reason(measure: Measure) -> str:
    """Say what a measure has found."""
    facts = {"name": _(measure.name), "canary": percent(measure.canary)}
    if measure.champion is None:
        return _("{name} {canary}", **facts)
    champion = percent(measure.champion)
    return _("{name} {canary}, champion {champion}", champion=champion, **facts)


def _rate(events: int, trials: int) -> float | None:
    return events / trials if trials else None
