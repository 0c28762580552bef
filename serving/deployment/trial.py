"""Trial of a canary: which requests it serves, the comparisons, and the evidence that stops it.

Requests are routed by a hash, so at any time of day both versions serve the same population. Of all
bad events (errors, slow responses, flags) the share of a tolerable canary is then at most
`core.metrics.sequential.trials_share`, whatever the event rate of the hour: each test conditions on
the number of events. A person counts once, since all their requests go to the same version.
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
"""Tests that share α (Bonferroni): `flagged` is two, of too many and of too few."""

Counts = Mapping[tuple[str, str], int]
"""Number of requests by arm and outcome."""


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A canary that serves a share of the requests, and the champion that it is compared with.

    `share` is at most 1; `begun` identifies this start of a canary; `key` is the pseudonyms' key.
    """

    champion: ServedModel
    model: ServedModel
    share: float
    begun: str
    key: str

    @property
    def name(self) -> str:
        """Return the name under which outcomes are counted: one start of a canary, one champion."""
        return f"{self.model.version.name} {self.begun} no. {self.champion.version.number}"

    def person(self, job: Job) -> str | None:
        """Return the pseudonym of a request with one row; None for any other request."""
        if len(job.instances.rows) != 1:
            return None
        prefix = job.model.version.contract.entity_prefix
        return stored(job.instances.entities[0], self.key, prefix)

    def takes(self, identity: str) -> bool:
        """Return whether an identity is routed to the canary; a greater share includes a smaller.

        The hash covers the version too, so that another canary gets other identities.
        """
        target = self.model.version.target
        text = f"{target.number} {target.created_ms} {identity}".encode()
        digest = hashlib.blake2b(text, digest_size=8).digest()
        return int.from_bytes(digest) < self.share * 2**64


@dataclass(frozen=True, slots=True)
class Measure:
    """One comparison of the two versions.

    `champion` and `canary` are rates, None without trials; `evidence` is ln of the e-value for the
    canary being worse than tolerated, `enough` the evidence at which it is stopped.
    """

    name: str
    champion: float | None
    canary: float | None
    evidence: float
    enough: float

    @property
    def weight(self) -> float:
        """Return the evidence as a fraction of `enough`, from 0 to 1."""
        return min(max(self.evidence / self.enough, 0.0), 1.0)


def measures(counts: Counts, share: float, settings: Settings) -> list[Measure]:
    """Return the comparisons by which a canary is judged."""

    def count(arm: str, outcome: str) -> int:
        return counts.get((arm, outcome), 0)

    def against(outcome: str, arm: str, part: float) -> float:
        events, least = count(arm, outcome), count(CHAMPION, outcome) + count(CANARY, outcome)
        return log_evidence(events, least, trials_share(part, settings.canary_ratio))

    def rates(outcome: str) -> tuple[float | None, float | None]:
        one, other = (_rate(count(arm, outcome), count(arm, REQUESTS)) for arm in ARMS)
        return one, other

    # At a share of 1 no request is the champion's; the tests need a probability below 1.
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
    """Return the measure with the most evidence."""
    return max(found, key=lambda one: one.evidence)


def reason(measure: Measure) -> str:
    """Return a measure's name and rates as text for the operator."""
    facts = {"name": _(measure.name), "canary": percent(measure.canary)}
    if measure.champion is None:
        return _("{name} {canary}", **facts)
    champion = percent(measure.champion)
    return _("{name} {canary}, champion {champion}", champion=champion, **facts)


def _rate(events: int, trials: int) -> float | None:
    return events / trials if trials else None
