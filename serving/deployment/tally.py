"""Outcome counts of the requests that a canary and its champion served, per worker."""

from serving.deployment.trial import COMPARED, DIFFERING, ERRORS, FLAGGED, REQUESTS, SLOW, Trial
from serving.engine.job import Job

_PERSONS = 50_000
"""Most persons that are remembered, so that each counts once; the oldest are evicted."""


class Tally:
    """Counts by trial, arm and outcome. Requests are counted on the event loop only."""

    def __init__(self, slow_seconds: float) -> None:
        """Start at zero; a response that takes longer than `slow_seconds` is slow."""
        self.counts: dict[tuple[str, str, str], int] = {}
        self._slow_seconds = slow_seconds
        self._trial, self._persons = "", dict[str, None]()

    def first(self, trial: Trial, person: str | None) -> bool:
        """Return whether a request counts: of a person's requests only the first does."""
        if self._trial != trial.name:
            self._trial = trial.name
            self._persons.clear()
        if person is None:
            return True
        if person in self._persons:
            return False
        if len(self._persons) >= _PERSONS:
            del self._persons[next(iter(self._persons))]
        self._persons[person] = None
        return True

    def answered(self, trial: Trial, arm: str, job: Job, seconds: float) -> None:
        """Count a response and its latency; of several rows only the first one's label counts."""
        self._add(trial, arm, REQUESTS)
        if seconds > self._slow_seconds:
            self._add(trial, arm, SLOW)
        if job.model.threshold is not None and job.labels[0] == 1:
            self._add(trial, arm, FLAGGED)

    def failed(self, trial: Trial, arm: str) -> None:
        """Count a request that a version failed to score."""
        self._add(trial, arm, REQUESTS)
        self._add(trial, arm, ERRORS)

    def compared(self, trial: Trial, arm: str, compared: int, differing: int) -> None:
        """Count the responses that were compared, and those whose label differs."""
        self._add(trial, arm, COMPARED, compared)
        self._add(trial, arm, DIFFERING, differing)

    def _add(self, trial: Trial, arm: str, outcome: str, by: int = 1) -> None:
        key = (trial.name, arm, outcome)
        self.counts[key] = self.counts.get(key, 0) + by
