"""Alias follower: resolve, load, verify, swap one reference; on failure keep the old version."""

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from core.contract import names
from core.messages import N_, _
from core.messages.system import system_reason
from core.mlflow_client.client import CALL_SECONDS, TRANSFER_SECONDS
from core.mlflow_client.errors import (
    AliasMissing,
    ModelMissing,
    RegistryError,
    RegistryUnreachable,
    VersionRefused,
)
from core.registry.files import open_package
from core.registry.runs import RunFacts, run_facts
from core.registry.versions import Registry, Version
from serving.config.settings import Settings
from serving.errors import CacheDamaged, NotReady
from serving.following.cache import ModelCache
from serving.following.served import ModelSource, ServedModel, check_successor
from serving.following.shared_lookup import SharedLook
from serving.following.threshold import override_text, threshold_in_force
from serving.model.loading import LoadedVersion, load_version, read_version
from serving.telemetry.heartbeat import Heartbeat
from serving.telemetry.logs import JsonLog, location
from serving.telemetry.memory import freeze_loaded

_PAUSES = (1.0, 30.0)
"""First and longest pause before a failed download of a version is retried, in seconds."""
NO_DISK = "no_disk"
"""Code of a version whose files could not be written to disk."""
_REFUSED_PAUSES = (10.0, 600.0)
"""The same for a refused version: a gateway's response may have been taken for its files."""
_LOOK_SECONDS = 3 * CALL_SECONDS
"""Time after which a poll of the alias counts as hung, besides a few pauses."""
_LOAD_SECONDS = TRANSFER_SECONDS + 60.0
"""Time after which the loading of a version counts as hung."""
_EARLY = 0.85
"""Share of the poll interval after which the alias is polled, so that a swap ends within it."""
_OWN_LOOK = 0.2
"""Share of the interval after which a worker reads its server's last poll result again."""
_IDLE = 5.0
"""Intervals between two polls of an optional alias that does not exist."""
_JITTER = 0.25
"""Largest share of the pause by which a poll may come early, so that workers spread."""


@dataclass(frozen=True, slots=True)
class Following:
    """Outcome of the last poll of the alias.

    `alias_version` is the version that the alias names, None if unknown; `problem` is a translated
    message why it is not served, and `code` its code, the same in every language.
    """

    alias_version: int | None = None
    reachable: bool = False
    problem: str | None = None
    code: str = ""


@dataclass(frozen=True, slots=True)
class _Failure:
    """A version that did not load, its error, and the time until which it is not retried."""

    target: Version
    error: Exception
    until: float
    pause: float


class Follower:
    """Follower of an alias: one thread polls and swaps `served`; requests read that reference."""

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        log: JsonLog,
        news: str = N_("serving {name} version {number}"),
        part: str = "following",
        *,
        optional: bool = False,
    ) -> None:
        """Store what to follow and the log message `news` of a new version; `start` begins.

        Where the alias is `optional`, nothing is served without it, not even from the cache, and
        it may move to a version with an incompatible contract.
        """
        self._optional = optional
        self._news, self.heart = news, Heartbeat(part)
        self._registry, self._settings, self._log = registry, settings, log
        self._resolve, self._pause = registry.resolve, settings.poll_seconds * _EARLY
        if settings.workers_dir is not None:
            # Together the two intervals are no longer than that of a worker that polls on its own.
            self._pause = settings.poll_seconds * _OWN_LOOK
            good_for = settings.poll_seconds * _EARLY - self._pause
            missing = _IDLE * settings.poll_seconds * _EARLY if optional else None
            shared = SharedLook(registry, settings.workers_dir, good_for, missing)
            self._resolve = shared.resolve
        self._cache = ModelCache(
            settings.model_cache, registry.place, registry.name, registry.alias
        )
        self._cache_tried = False
        self._failure: _Failure | None = None
        self._warm: LoadedVersion | None = None
        self._reported: str | None = None
        self._stop = threading.Event()
        self.looked = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self.served: ServedModel | None = None
        self.since: datetime | None = None
        self.following = Following(problem=_("the registry has not been asked yet"))

    def start(self) -> None:
        """Start following, in a thread of its own."""
        if self._settings.threshold is not None and not self._optional:
            self._log.event("WARNING", override_text(self._settings.threshold))
        self._thread.start()

    def stop(self) -> None:
        """Signal the thread to stop, without waiting for a poll or download under way."""
        self._stop.set()

    def close(self) -> None:
        """Stop following; wait a few seconds for a poll or download under way."""
        self.stop()
        # During the first poll nothing is served yet; it may block as long as MLflow does.
        if self._thread.is_alive() and self.looked.is_set():
            self._thread.join(5)
        self.heart.rest()

    def current(self) -> ServedModel:
        """Return the served model.

        Raises:
            NotReady: no version has been loaded yet.
        """
        if self.served is None:
            raise NotReady(reason=self.following.problem or _("waiting for the registry"))
        return self.served

    def poll(self) -> None:
        """Poll the alias once and serve the version it names; record the problem if that fails."""
        try:
            target = self._resolve()
        except RegistryError as exc:
            if self._optional and isinstance(exc, AliasMissing | ModelMissing):
                self._serve_nothing()
                return
            reachable = not isinstance(exc, RegistryUnreachable)
            if not reachable and self.served is None:
                self._start_from_cache()
            known = None if reachable else self.following.alias_version
            self._note(Following(known, reachable, self._without_registry(exc), exc.code))
            return
        try:
            self._follow(target)
        except (RegistryError, OSError) as exc:
            reachable = not isinstance(exc, RegistryUnreachable)
            if self.served is None:
                self._start_from_cache()  # a running worker would keep its version, too
            code = exc.code if isinstance(exc, RegistryError) else NO_DISK
            self._note(Following(target.number, reachable, self._behind(target, exc), code))
        else:
            self._note(Following(target.number, True, None))

    def _serve_nothing(self) -> None:
        if self.served is not None:
            text = N_("nothing is served under the alias {alias} any more")
            self._log.event("INFO", _(text, alias=self._registry.alias), self.served.release)
        self.served = None
        self._failure = self._reported = None
        self.following = Following(reachable=True)

    def _follow(self, target: Version) -> None:
        served = self.served
        if served is None or not served.version.target.is_version_of(target):
            first = served is None and not self.looked.is_set()
            version = self._before(target) or (self._kept(target) if first else None)
            version = version or self._load(target)
            self._swap(self._dress(version, target.tags))
        elif served.source == "cache" or dict(target.tags) != dict(served.tags):
            self._swap(self._dress(served.version, target.tags))
            if not self._optional:
                self._in_cache(lambda: self._cache.remember(target))

    def _before(self, target: Version) -> LoadedVersion | None:
        """Return the target if it is the previously served version, still in memory.

        Raises:
            VersionRefused: clients of the served version would break.
        """
        before, served = self._warm, self.served
        if before is None or served is None or not before.target.is_version_of(target):
            return None
        version = replace(before, target=target)
        check_successor(served.version, version)
        # Roll back the cache, too: a start without MLflow must not serve the rolled-back version.
        there = self._in_cache(lambda: self._cache.recall(target))
        return None if there is False else version

    def _start_from_cache(self) -> None:
        """Serve the cached version if there is a usable one; only the first call tries."""
        if self._cache_tried or self._optional:
            return
        self._cache_tried = True
        version = self._kept()
        if version is not None:
            self._swap(self._dress(version, version.target.tags, "cache"))

    def _kept(self, wanted: Version | None = None) -> LoadedVersion | None:
        """Load the cached version, if it is the one wanted; log why it cannot be served."""
        self.heart.beat(_LOAD_SECONDS)
        try:
            with self._cache.opened(wanted) as kept:
                if kept is None:
                    return None
                target = wanted or kept.target
                package = open_package(self._registry.client, target.number, kept.folder)
                return read_version(self._registry, target, package, kept.facts, self._settings)
        except (CacheDamaged, VersionRefused, OSError) as exc:
            text = system_reason(exc) if isinstance(exc, OSError) else exc
            problem = _("the local copy could not be served: {reason}", reason=text)
            self._log.event("ERROR", problem)
        return None

    def _accept(self, version: LoadedVersion, files: Path, facts: RunFacts) -> None:
        """Cache a verified version, if its contract is compatible with the served one's.

        Raises:
            VersionRefused: it would break clients of the served version.
        """
        if self._optional:
            return
        if self.served is not None:
            check_successor(self.served.version, version)
        self._in_cache(lambda: self._cache.keep(version.target, files, facts))

    def _in_cache(self, change: Callable[[], bool | None]) -> bool | None:
        """Return the result of a change to the cache; None, and a log entry, if it fails."""
        try:
            return change()
        except OSError as exc:
            problem = _("the local copy could not be kept: {reason}", reason=system_reason(exc))
            self._log.event("WARNING", problem)
        return None

    def _load(self, target: Version) -> LoadedVersion:
        """Load the target; raise its last error again while it is too soon to retry."""
        before = self._failure if self._failure and self._failure.target == target else None
        if before is not None and time.monotonic() < before.until:
            raise before.error.with_traceback(None)
        self.heart.beat(_LOAD_SECONDS)
        try:
            version = load_version(self._registry, target, self._settings, self._accept)
        except (RegistryError, OSError) as exc:
            first, most = _REFUSED_PAUSES if isinstance(exc, VersionRefused) else _PAUSES
            pause = min(2 * before.pause, most) if before else first
            self._failure = _Failure(target, exc, time.monotonic() + pause, pause)
            raise
        self._failure = None
        return version

    def _dress(
        self, version: LoadedVersion, tags: Mapping[str, str], source: ModelSource = "registry"
    ) -> ServedModel:
        """Return the served model of a version, with settings of its tags and the environment."""
        run_id = tags.get(names.TAG_BASELINE_RUN_ID)
        baseline = None
        if run_id:
            # The cached version is served while MLflow is unreachable.
            created = run_facts(self._registry, run_id).started if source == "registry" else None
            baseline = {"run_id": run_id, "created_at": created}
        threshold, from_where, warning = threshold_in_force(self._settings.threshold, version, tags)
        return ServedModel(version, threshold, from_where, baseline, source, warning, tags)

    def _swap(self, model: ServedModel) -> None:
        if self.served is None:
            freeze_loaded()
        before = self.served
        if before is None or before.version is not model.version:
            self.since = datetime.now(UTC)
            if before is not None and self._settings.keep_previous:
                self._warm = before.version
        self.served = model
        version = model.version
        text = _(self._news, name=version.name, number=version.number)
        text += " " + _("from the local copy") if model.source == "cache" else ""
        if model.threshold is not None:
            where = model.threshold_source
            text += _(", threshold {value} ({where})", value=model.threshold, where=where)
        self._log.event("INFO", text, model.release)
        if model.warning:
            self._log.event("ERROR", model.warning, model.release)

    def _without_registry(self, exc: RegistryError) -> str:
        """Return a failed poll's problem text, naming the cached version that is served, if any."""
        if self.served is None or self.served.source == "registry":
            return str(exc)
        number = self.served.version.number
        return _("{problem}; serving the local copy of version {n}", problem=exc, n=number)

    def _behind(self, target: Version, exc: RegistryError | OSError) -> str:
        reason: object = exc
        if isinstance(exc, OSError):
            reason = _("no disk: {reason}", reason=system_reason(exc))
        facts = {"alias": self._registry.alias, "number": target.number, "reason": reason}
        if self.served is None:
            return _("the alias {alias} names version {number}, serving none: {reason}", **facts)
        return _(
            "the alias {alias} names version {number}, serving {served}: {reason}",
            served=self.served.version.number,
            **facts,
        )

    def _note(self, following: Following) -> None:
        """Store the outcome; log it once, when it changes."""
        self.following = following
        if following.problem == self._reported:
            return
        release = self.served.release if self.served else None
        if following.problem:
            self._log.event("ERROR", following.problem, release)
        elif self._reported:
            self._log.event("INFO", _("the alias is followed again"), release)
        self._reported = following.problem

    def _run(self) -> None:
        while not self._stop.is_set():
            self.heart.beat(_LOOK_SECONDS + _IDLE * self._settings.poll_seconds)
            try:
                self.poll()
            except Exception as exc:
                text = _(
                    "unexpected failure while following the alias: {where}", where=location(exc)
                )
                self._note(replace(self.following, problem=text))
            self.looked.set()
            early = _JITTER * random.random()  # noqa: S311 (jitter, no secret)
            idle = self._optional and self.served is None and self._failure is None
            pause = _IDLE * self._settings.poll_seconds if idle else self._pause
            self._stop.wait(pause * (1 - early))
