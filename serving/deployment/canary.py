"""Canary: a second version that serves a share of the requests and is stopped if it is worse.

The event loop only routes and counts. A thread does the rest: it determines whether there is a
canary that may serve, scores its requests with the champion too, and tests whether it is worse than
tolerated. Where the canary is refused or fails to score, the champion serves the request.
"""

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence

from core.contract import names
from core.contract.compatibility import incompatible_changes
from core.contract.numbers import NumberError, read_number
from core.messages import N_, _
from core.registry.proxies import MOST_TEXT, ProxyReport
from serving.config.registry import registry_of
from serving.config.settings import Settings
from serving.deployment import trial as trials
from serving.deployment.shadow import translated
from serving.deployment.tally import Tally
from serving.deployment.trial import CANARY, CHAMPION, Measure, Trial
from serving.engine.batcher import Batcher
from serving.engine.job import Job, settle_apart
from serving.errors import CaptureFailed, ScoringFailed
from serving.following.follower import Follower
from serving.metrics.counters import Metrics
from serving.metrics.exposition import Numbers, added
from serving.protocol.instances import Instances
from serving.telemetry.heartbeat import Heartbeat
from serving.telemetry.logs import JsonLog, location

_LOOK_SECONDS = 0.25
_BUSY_SECONDS = 30.0
_WAITING = 256
"""Most canary responses queued for comparison with the champion's; the oldest are dropped."""


class Canary:
    """Follower of the alias `canary` that serves its share of the requests."""

    def __init__(
        self, settings: Settings, champion: Follower, metrics: Metrics, log: JsonLog
    ) -> None:
        """Set up the follower and the state; the threads begin with `start`."""
        self._settings, self._champion, self._metrics = settings, champion, metrics
        self._log, self.alias = log, settings.canary
        registry = registry_of(settings, settings.canary)
        own = settings.model_copy(update={"keep_previous": False})
        news = N_("as canary: {name} version {number}")
        self.follower = Follower(registry, own, log, news, "canary_following", optional=True)
        self.trial: Trial | None = None
        self.refusal: str | None = None
        self.stopped: tuple[str, str] | None = None
        self.tally = Tally(settings.canary_slow_seconds)
        self._answered: deque[tuple[Job, int | None]] = deque(maxlen=_WAITING)
        self._heart = Heartbeat("canary")
        self.hearts = (self._heart, self.follower.heart)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="canary", daemon=True)

    def start(self) -> None:
        """Start the follower and the monitoring thread."""
        self.follower.start()
        self._thread.start()

    def stop(self) -> None:
        """Signal both threads to stop, without waiting for them."""
        self.follower.stop()
        self._over.set()

    def close(self) -> None:
        """Stop both threads."""
        self.stop()
        self.follower.close()
        if self._thread.is_alive():
            self._thread.join(5)
        self._heart.rest()

    async def score(self, job: Job, batcher: Batcher) -> Job:
        """Score a request with the version it is routed to; return the job that holds the response.

        Raises:
            ScoringFailed: the champion raised.
            CaptureFailed: the scores could not be captured, and `CAPTURE_REQUIRED` is set.
        """
        trial = self.trial
        plain = job.params in (None, job.model.version.params.defaults)
        if trial is None or trial.champion is not job.model or not plain:
            await batcher.score(job)
            return job
        person = trial.person(job)
        counts = self.tally.first(trial, person)
        if not trial.takes(person or job.context.request_id):
            return await self._by_champion(trial, job, batcher, counts)
        return await self._by_canary(trial, job, batcher, counts)

    async def _by_champion(self, trial: Trial, job: Job, batcher: Batcher, counts: bool) -> Job:
        began = time.perf_counter()
        try:
            await batcher.score(job)
        except ScoringFailed:
            if counts:
                self.tally.failed(trial, CHAMPION)
            raise
        if counts:
            self.tally.answered(trial, CHAMPION, job, time.perf_counter() - began)
        return job

    async def _by_canary(self, trial: Trial, job: Job, batcher: Batcher, counts: bool) -> Job:
        own = Job(trial.model, translated(job, trial.model), job.context)
        began = time.perf_counter()
        try:
            await batcher.score(own)
        except CaptureFailed:
            raise
        except Exception:
            if counts:
                self.tally.failed(trial, CANARY)
            await batcher.score(job)
            return job
        if counts:
            self.tally.answered(trial, CANARY, own, time.perf_counter() - began)
            self._answered.append((job, own.labels[0]))
        own.context.model_version = own.model.release
        return own

    def measures(self) -> list[Measure]:
        """Return the comparisons over all workers of the server; none without a canary."""
        trial = self.trial
        return self._measures(trial, added(self._metrics.parts())) if trial else []

    def _measures(self, trial: Trial, numbers: Mapping[str, Numbers]) -> list[Measure]:
        counts = {
            (arm, outcome): int(n)
            for (name, arm, outcome), n in numbers["canary_outcomes"].items()
            if name == trial.name
        }
        return trials.measures(counts, trial.share, self._settings)

    def report(self) -> dict[str, str]:
        """Return the canary's fields of a proxy's report; none where there is no canary."""
        served, trial, stopped = self.follower.served, self.trial, self.stop_in_force()
        if not (trial or stopped or self.refusal):
            return {}
        return {
            "canary": str(served.version.number) if served else "",
            "canary_release": served.release if served else "",
            "canary_share": f"{100 * trial.share:g}" if trial else "",
            "canary_refused": (self.refusal or "")[:MOST_TEXT],
            "canary_stopped": stopped[1][:MOST_TEXT] if stopped else "",
            "canary_begun": stopped[0] if stopped else "",
        }

    def stop_in_force(self) -> tuple[str, str] | None:
        """Return the start that was stopped and why, if the alias still names it; else None."""
        served, stopped = self.follower.served, self.stopped
        same = served and stopped and served.tags.get(names.TAG_CANARY_BEGUN, "") == stopped[0]
        return stopped if same else None

    def heed(self, reports: Sequence[ProxyReport]) -> None:
        """Stop a canary that another proxy, or an earlier process of this one, has stopped."""
        trial = self.trial
        for state in (report.state for report in reports):
            if trial and state.canary_stopped and state.canary_begun == trial.begun:
                text = state.canary_stopped
                if state.proxy != self._settings.proxy_name:
                    text = _("stopped at {proxy}: {reason}", proxy=state.proxy, reason=text)
                self._stop(trial, text)
                return

    def _run(self) -> None:
        failure = None
        while not self._over.wait(_LOOK_SECONDS):
            self._heart.beat(_BUSY_SECONDS)
            try:
                self.look()
            except Exception as exc:
                text = _("the canary is not watched: {where}", where=location(exc))
                if text != failure:
                    self._log.event("ERROR", text)
                failure = text
                self.trial = None

    def look(self) -> None:
        """Refresh the trial, compare the latest canary responses, and stop the canary if worse."""
        trial, self.refusal = self._now()
        self.trial = trial
        if trial is None:
            return
        self._compare(trial)
        self._judge(trial)

    def _now(self) -> tuple[Trial | None, str | None]:
        """Return the trial of a canary that may serve now; else None, and why a canary may not."""
        served, champion = self.follower.served, self._champion.served
        following = self.follower.following
        problem = following.problem if following.reachable else None
        if served is None or champion is None:
            return None, problem
        if following.alias_version not in (None, served.version.number):
            return None, problem  # the new version is loading, or refused
        begun = served.tags.get(names.TAG_CANARY_BEGUN, "")
        if self.stop_in_force() or served.version.target.is_version_of(champion.version.target):
            return None, None
        last = self.trial
        if last and (last.champion, last.model) == (champion, served):
            return last, None
        share = _share(served.tags.get(names.TAG_CANARY_SHARE, ""))
        if share is None:
            return None, _("the tag {tag} is no percentage", tag=names.TAG_CANARY_SHARE)
        changes = incompatible_changes(champion.version.contract, served.version.contract)
        if changes:
            told = "; ".join(changes)
            return None, _("its contract would break clients: {changes}", changes=told)
        return Trial(champion, served, share, begun, self._settings.pseudonym_key), None

    def _compare(self, trial: Trial) -> None:
        """Score the canary's requests with the champion, and count the labels that differ."""
        waiting = [self._answered.popleft() for _turn in range(len(self._answered))]
        pairs = [
            (Job(trial.champion, Instances(job.instances.rows[:1], (None,)), job.context), said)
            for job, said in waiting
            if said is not None and job.model is trial.champion
        ]
        if not pairs:
            return
        settle_apart([again for again, _said in pairs])
        same = [again.labels[0] == said for again, said in pairs if again.error is None]
        self.tally.compared(trial, CANARY, len(same), same.count(False))

    def _judge(self, trial: Trial) -> None:
        """Stop the canary if a measure has enough evidence, or if another worker stopped it."""
        if not self._settings.canary_stop:
            return
        numbers = added(self._metrics.parts())
        found = trials.worst(self._measures(trial, numbers))
        elsewhere = numbers["canary_stopped_workers"].get((self._settings.model_name, trial.begun))
        if elsewhere or found.evidence >= found.enough:
            self._stop(trial, trials.reason(found))

    def _stop(self, trial: Trial, text: str) -> None:
        self.stopped = (trial.begun, text)
        self.trial = None
        release = trial.model.release
        told = _("the canary {release} is stopped: {reason}", release=release, reason=text)
        self._log.event("ERROR", told, release)


def _share(text: str) -> float | None:
    """Return the share, at most 1, that a tag gives in percent; None if it is no percentage."""
    try:
        percent = read_number(text)
    except NumberError:
        return None
    return percent / 100 if 0 < percent <= 100 else None
