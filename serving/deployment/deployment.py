"""Deployment: one registered model under one alias, and all that serves it in this process."""

import asyncio
from collections.abc import Callable, Sequence

from core.messages import _
from serving.capture.recorder import Capture
from serving.config.settings import Settings
from serving.deployment.shadow import Shadow
from serving.engine.batcher import Batcher, Job
from serving.engine.direct import DirectScorer
from serving.following.follower import Follower
from serving.following.registry import Registry
from serving.following.threshold import override_text
from serving.telemetry.logs import JsonLog

_FIRST_LOOK_SECONDS = 15.0
"""Longest time that a worker waits for the registry before it answers without a model."""


class Deployment:
    """What follows the alias, what scores, what captures, and the shadow beside them.

    Args:
        settings: the model's name, its alias, and where its rows go.
        log: of the process.
        observe: called with the scored jobs of each call of the model.
    """

    def __init__(
        self, settings: Settings, log: JsonLog, observe: Callable[[Sequence[Job]], None]
    ) -> None:
        """Put the parts together; nothing is read, opened or started before `start`."""
        self.settings, self._log, self._observe = settings, log, observe
        self.name, self.alias = settings.model_name, settings.model_alias
        self.registry = Registry(settings.mlflow_tracking_uri, self.name, self.alias)
        self.follower = Follower(self.registry, settings, log)
        self.capture = Capture(settings, log)
        self.shadow = (
            Shadow(settings, settings.shadow_alias, log) if settings.shadow_alias else None
        )
        self.batcher, self.direct = Batcher(self._record), DirectScorer(self._record)

    async def start(self) -> None:
        """Start all parts; return when the alias was looked at, or that takes too long."""
        following = _("process started; follows {name}@{alias}", name=self.name, alias=self.alias)
        self._log.event("INFO", following)
        self.capture.start()
        self.follower.start()
        if self.shadow is not None:
            self.shadow.start()
        # Until then the sockets wait, so that a worker that starts beside others refuses nobody.
        await asyncio.to_thread(self.follower.looked.wait, _FIRST_LOOK_SECONDS)

    def close(self) -> None:
        """Stop all parts; what was answered is captured first."""
        self.follower.close()
        self.batcher.close()
        self.direct.close()
        if self.shadow is not None:
            self.shadow.close()
        self.capture.close()

    def alarms(self) -> list[str]:
        """Return what someone should look at, for people."""
        served, problem = self.follower.served, self.follower.following.problem
        warning = served.warning if served is not None else None
        return [text for text in (problem, warning) if text] + self.capture.problems()

    def notes(self) -> list[str]:
        """Return what is worth saying and no alarm: that the environment sets the threshold."""
        served = self.follower.served
        if served is None or served.threshold is None or served.threshold_source != "env":
            return []
        return [override_text(served.threshold)]

    def _record(self, jobs: Sequence[Job]) -> None:
        self.capture.append(jobs)
        self._observe(jobs)
        if self.shadow is not None:
            self.shadow.offer(jobs)
