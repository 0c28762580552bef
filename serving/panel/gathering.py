"""Gathers what the operators' page is made from: this worker's state and all workers' numbers."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from serving.capture.recorder import Capture
from serving.config.settings import Settings
from serving.deployment.shadow import Shadow
from serving.following.follower import Follower
from serving.following.history import HistoryReader
from serving.http.exposition import Numbers, added
from serving.http.schemas import CaptureState
from serving.http.status import health_of
from serving.panel.content import Group, PanelFacts
from serving.telemetry.metrics import LATENCY_BOUNDS, Metrics
from serving.telemetry.slo import DAY, HOUR, levels, window


def gatherer(
    settings: Settings,
    follower: Follower,
    capture: Capture,
    shadow: Shadow | None,
    metrics: Metrics,
    reader: HistoryReader,
) -> Callable[[], PanelFacts]:
    """Return what gathers the facts; it reads files and may wait for MLflow."""
    alias = settings.model_alias

    def gather() -> PanelFacts:
        parts, served = metrics.parts(), follower.served
        numbers, now = added(parts), time.monotonic()
        slices = [part.slices for part in parts]
        begun = [part.since for part in slices if part.since is not None]
        uptime = now - min(begun, default=now)
        return PanelFacts(
            now=datetime.now(UTC),
            model_name=settings.model_name,
            health=health_of(follower, capture, alias, uptime, shadow),
            threshold=served.threshold if served else None,
            since=follower.since,
            started=datetime.now(UTC) - timedelta(seconds=uptime),
            groups=_groups(numbers, alias),
            degraded=int(_total(numbers, "serving_degraded_workers")),
            capture=_capture(numbers),
            hour=levels(window(slices, now, HOUR), LATENCY_BOUNDS),
            day=levels(window(slices, now, DAY), LATENCY_BOUNDS),
            reading=reader.latest(),
            mlflow_url=settings.mlflow_public_url or settings.mlflow_tracking_uri,
        )

    return gather


def _groups(numbers: dict[str, Numbers], alias: str) -> tuple[Group, ...]:
    """Return the living workers by the version they serve; the shadow's are left out."""
    found = numbers["serving_workers"].items()
    return tuple(
        Group(release, number, int(count))
        for (_, followed, release, number, _), count in sorted(found)
        if followed == alias
    )


def _capture(numbers: dict[str, Numbers]) -> CaptureState:
    return CaptureState(
        captured=int(_total(numbers, "capture_rows")),
        pending=int(_total(numbers, "capture_pending_rows")),
        lost=int(_total(numbers, "capture_lost_rows")),
    )


def _total(numbers: dict[str, Numbers], name: str) -> float:
    return float(sum(numbers[name].values()))
