"""Collection of the operators' page's data: this worker's state and all workers' numbers."""

import time
from datetime import UTC, datetime, timedelta

from serving.deployment.deployment import Deployment
from serving.http.schemas import CaptureState
from serving.http.status import health_of
from serving.metrics.counters import Metrics
from serving.metrics.exposition import Numbers, added
from serving.metrics.families import LATENCY_BOUNDS
from serving.metrics.kept import days
from serving.metrics.slo import DAY, HOUR, levels, window
from serving.panel.background import Reading
from serving.panel.content import Group, PanelFacts
from serving.panel.counts import Counts
from serving.panel.history import History


def gather(
    deployment: Deployment,
    metrics: Metrics,
    reading: Reading[History],
    counts: Reading[Counts | None],
) -> PanelFacts:
    """Return the page's data; reads the files that the workers publish."""
    settings, served = deployment.settings, deployment.follower.served
    parts, now = metrics.parts(), time.monotonic()
    numbers, slices = added(parts), [part.slices for part in parts]
    begun = [part.since for part in slices if part.since is not None]
    uptime = now - min(begun, default=now)
    return PanelFacts(
        now=datetime.now(UTC),
        model_name=deployment.name,
        health=health_of(deployment, uptime),
        threshold=served.threshold if served else None,
        since=deployment.follower.since,
        started=datetime.now(UTC) - timedelta(seconds=uptime),
        groups=_groups(numbers, deployment.name, deployment.alias),
        canary=tuple(deployment.canary.measures()) if deployment.canary else (),
        degraded=_total(numbers, "serving_degraded_workers"),
        capture=CaptureState(
            captured=_total(numbers, "capture_rows"),
            pending=_total(numbers, "capture_pending_rows"),
            lost=_total(numbers, "capture_lost_rows"),
        ),
        hour=levels(window(slices, now, HOUR), LATENCY_BOUNDS),
        day=levels(window(slices, now, DAY), LATENCY_BOUNDS),
        reading=reading,
        counts=counts,
        days=tuple(days(settings.kept_levels)),
        mlflow_url=settings.mlflow_public_url or settings.mlflow_tracking_uri,
        registry_url=settings.mlflow_registry_uri,
    )


def _groups(numbers: dict[str, Numbers], model: str, alias: str) -> tuple[Group, ...]:
    """Return the running workers by served version; shadow and canary are left out."""
    found = numbers["serving_workers"].items()
    return tuple(
        Group(release, int(count))
        for (name, followed, release, _number, _source), count in sorted(found)
        if (name, followed) == (model, alias)
    )


def _total(numbers: dict[str, Numbers], name: str) -> int:
    return int(sum(numbers[name].values()))
