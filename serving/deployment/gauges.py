"""Metrics that are read from a worker's parts, not counted: versions, capture, health."""

from collections.abc import Mapping, Sequence

from serving.deployment.deployment import Deployment
from serving.following.served import ServedModel
from serving.metrics.families import Labels


def gauges(
    deployments: Sequence[Deployment], shed_before: int
) -> dict[str, Mapping[Labels, float]]:
    """Return this worker's gauges, and capture's and the shadows' counters, by metric name.

    `shed_before` is the number of requests refused because their bodies had no room.
    """
    shed = shed_before + sum(d.batcher.shed + d.batch.shed for d in deployments)
    counters = [d.captured() for d in deployments]
    shadows = [d.shadow for d in deployments if d.shadow]
    canaries = [d.canary for d in deployments if d.canary]
    serving = [(d.follower.served, d.alias) for d in deployments]
    serving += [(served, s.alias) for s in shadows if (served := s.follower.served)]
    # Another thread may end a trial between two reads of it.
    serving += [(trial.model, c.alias) for c in canaries if (trial := c.trial)]
    return {
        "capture_rows": {(): sum(c.captured for c in counters)},
        "ignored_fields": {(): sum(d.ignored_fields for d in deployments)},
        "capture_lost_rows": {(): sum(c.lost for c in counters)},
        "capture_pending_rows": {(): sum(c.pending for c in counters)},
        "capture_oldest_pending_seconds": {(): max(c.oldest for c in counters)},
        "model_waiting_rows": {(): sum(d.batcher.waiting + d.batch.waiting for d in deployments)},
        "http_shed_requests": {(): shed},
        "shadow_rows": {(): sum(s.scored for s in shadows)},
        "shadow_dropped_rows": {(): sum(s.dropped for s in shadows)},
        "serving_workers": {_identity(*one): 1 for one in serving},
        "canary_outcomes": {k: v for c in canaries for k, v in list(c.tally.counts.items())},
        "canary_stopped_workers": {
            (d.name, d.canary.stopped[0]): 1 for d in deployments if d.canary and d.canary.stopped
        },
        "serving_refusing_workers": dict.fromkeys(filter(None, map(_refusal, deployments)), 1),
        "serving_degraded_workers": {(): int(any(d.alarms() for d in deployments))},
        "serving_registry_reachable_workers": {
            (): int(all(d.follower.following.reachable for d in deployments))
        },
        "serving_heartbeat_age_seconds": _ages(deployments),
    }


def _ages(deployments: Sequence[Deployment]) -> dict[Labels, float]:
    """Return the seconds since each part's last heartbeat, the maximum over the models."""
    found: dict[Labels, float] = {}
    for heart in (heart for d in deployments for heart in d.hearts()):
        found[heart.part,] = max(heart.age(), found.get((heart.part,), 0.0))
    return found


def _identity(served: ServedModel | None, alias: str) -> Labels:
    if served is None:
        return ("", alias, "", "", "")
    version = served.version
    return (version.name, alias, served.release, str(version.number), served.source)


def _refusal(deployment: Deployment) -> Labels | None:
    """Return the labels of the alias's version if it is not served, with the reason; else None."""
    following = deployment.follower.following
    if not following.code:
        return None
    return (deployment.name, deployment.alias, str(following.alias_version or ""), following.code)
