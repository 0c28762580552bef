"""Reporter: records in MLflow what a server's workers serve, on change and every few minutes.

One worker of a server reports, the one that holds a lock; when it ends, another takes over. The
workers' state is read from the numbers that they publish for `/metrics`, so reporting is off the
request path, and a failure to write a report is only logged.
"""

import contextlib
import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from core.errors import ProjectError
from core.files.locks import lock, share
from core.files.whole import replacing
from core.messages import _
from core.registry import proxies
from core.registry.proxies import ProxyReport, ProxyState
from core.registry.versions import Registry
from serving.config.model_paths import file_word
from serving.config.settings import Settings
from serving.deployment.canary import Canary
from serving.following.follower import Follower
from serving.metrics.counters import Metrics
from serving.metrics.exposition import added
from serving.telemetry.heartbeat import Heartbeat
from serving.telemetry.logs import JsonLog, location

LOOK_SECONDS = 0.5
"""Interval between two reads of the workers' state."""
_AGAIN_SECONDS = 10.0
"""Delay before the retry of a report that could not be written."""
_END_SECONDS = 2.0
"""Longest time that shutdown waits for the server's report to be ended."""
_HEED_SECONDS = 5.0
"""Interval between two reads of other proxies' reports on the canary."""
_WRITE_SECONDS = 60.0
_RUN = "run"
"""File, shared by the workers of a server, with the run id of their report."""
_UPKEEP_SECONDS = 3600.0


class Reporter:
    """Publisher of one server's report."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        follower: Follower,
        metrics: Metrics,
        log: JsonLog,
        canary: Canary | None,
    ) -> None:
        """Keep the parts whose state is reported."""
        self._settings, self._registry, self._log = settings, registry, log
        self._follower, self._metrics, self._canary = follower, metrics, canary
        self.heart = Heartbeat("reporting")
        self._folder = settings.workers_dir
        self._elections = self._attendance = -1
        self._elected = self._folder is None
        self._report: ProxyReport | None = None
        self._written_at = self._tidied_at = self._heeded_at = float("-inf")
        self._problem: str | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)

    def start(self) -> None:
        """Start the reporting thread, if the proxy has a name."""
        if not self._settings.proxy_name:
            return
        if self._folder is not None:
            with contextlib.suppress(OSError):
                self._elections = _opened(self._file("elected.lock"))
                self._attendance = _opened(self._file("reporting.lock"))
                share(self._attendance)
        self._thread.start()

    def stop(self) -> None:
        """Signal the thread to stop; the last worker's thread then ends the report."""
        self._stop.set()

    def close(self) -> None:
        """End the report if no other worker still serves; wait up to `_END_SECONDS` for it."""
        self.stop()
        if self._thread.is_alive():
            self._thread.join(_END_SECONDS)
        self.heart.rest()

    def state(self) -> ProxyState:
        """Return the current state of this server's workers."""
        settings, following = self._settings, self._follower.following
        numbers = added(self._metrics.parts())
        served = {
            (number, release)
            for (*of, release, number, _source), n in numbers["serving_workers"].items()
            if of == [settings.model_name, settings.model_alias] and n
        }
        target = str(following.alias_version or "")
        behind = sorted(one for one in served if one[0] != target)
        number, release = next(iter(behind or served), ("", ""))
        refused = [
            key
            for key, n in numbers["serving_refusing_workers"].items()
            if key[:2] == (settings.model_name, settings.model_alias) and n
        ]
        code = refused[0][3] if refused else ""
        reason = following.problem if refused and following.code == code else ""
        return ProxyState(
            proxy=settings.proxy_name,
            alias=settings.model_alias,
            number=number,
            release=release,
            refused=refused[0][2] if refused else "",
            code=code,
            reason=(reason or "")[: proxies.MOST_TEXT],
            threshold="" if settings.threshold is None else f"{settings.threshold:g}",
            **(self._canary.report() if self._canary else {}),
        )

    def _run(self) -> None:
        # Wait before the first report: at start most workers are still loading.
        while not self._stop.wait(LOOK_SECONDS):
            self.heart.beat(_WRITE_SECONDS)
            try:
                self._look()
            except Exception as exc:
                self._fail(exc)
        with contextlib.suppress(Exception):
            self._end()

    def _end(self) -> None:
        """End the report in MLflow if this is the last worker of the server."""
        run_id = self._report.run_id if self._report else ""
        if self._folder is not None:
            if not lock(self._attendance):
                return
            run_id = self._file(_RUN).read_text("utf-8")
        if run_id:
            proxies.end_report(self._registry, run_id)

    def _file(self, name: str) -> Path:
        """Return the path of a file shared by the workers that serve this model."""
        assert self._folder is not None  # noqa: S101 (a single worker shares no file)
        return self._folder / f"report-{file_word(self._registry.name)}.{name}"

    def _look(self) -> None:
        if not self._elected:
            self._elected = self._elections >= 0 and lock(self._elections)
        if not self._elected or not self._follower.looked.is_set():
            return
        self._heed_others()
        now, state, last = time.monotonic(), self.state(), self._report
        changed = last is None or last.state != state
        due = now - self._written_at >= proxies.REPORT_SECONDS
        if not (changed or due) or (self._problem and now - self._written_at < _AGAIN_SECONDS):
            return
        self._written_at = now
        moment = datetime.now(UTC)
        since = moment if last is None or changed else last.since
        self._report = proxies.write_report(self._registry, ProxyReport(state, since, moment))
        self._problem = None
        if self._folder is not None:
            with replacing(self._file(_RUN), durable=False) as temporary:
                temporary.write_text(self._report.run_id, encoding="utf-8")
        if now - self._tidied_at >= _UPKEEP_SECONDS:
            self._tidied_at = now
            proxies.remove_forgotten(self._registry)

    def _heed_others(self) -> None:
        """Pass the other proxies' reports to the canary, in case one of them has stopped it."""
        now = time.monotonic()
        if self._canary and self._canary.trial and now - self._heeded_at >= _HEED_SECONDS:
            self._heeded_at = now
            self._canary.heed(proxies.read_reports(self._registry))

    def _fail(self, exc: Exception) -> None:
        """Log, once per cause, why the report could not be written."""
        reason = exc if isinstance(exc, ProjectError) else location(exc)
        text = _("what is served could not be reported to MLflow: {reason}", reason=reason)
        if text != self._problem:
            self._log.event("WARNING", text)
        self._problem = text


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o640)
