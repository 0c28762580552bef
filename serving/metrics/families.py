"""The table of `/metrics`: each metric that a worker counts or reads, and its help text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

LATENCY_BOUNDS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2),
    *(0.3, 0.5, 1.0, 2.5, 5.0, 10.0),
)
"""Upper bounds in seconds; 0.2 and 0.5 are the runbook's thresholds."""
BATCH_BOUNDS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One metric: its kind, its help text, and the names of its labels."""

    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    bounds: Sequence[float] = ()
    most: bool = False
    """Whether the maximum over the workers counts, in place of their sum."""


FAMILIES: Mapping[str, MetricSpec] = {
    "http_requests": MetricSpec(
        "counter", "Requests answered, by route and status.", ("method", "path", "status")
    ),
    "http_request_duration_seconds": MetricSpec(
        "histogram",
        "Time from a request's headers to the last byte of its answer.",
        ("method", "path"),
        LATENCY_BOUNDS,
    ),
    "http_connections_closed": MetricSpec(
        "counter", "Connections closed for a limit, by which one.", ("reason",)
    ),
    "http_shed_requests": MetricSpec("counter", "Requests refused with 503 for want of room."),
    "model_waiting_rows": MetricSpec("gauge", "Rows that wait for the model, or are in it."),
    "model_batch_rows": MetricSpec("histogram", "Rows in one call of the model.", (), BATCH_BOUNDS),
    "model_predictions": MetricSpec(
        "counter",
        "Instances scored, by release and label.",
        ("model_version", "model_name", "label"),
    ),
    "model_score_sum": MetricSpec(
        "counter", "Sum of the scores, by release.", ("model_version", "model_name")
    ),
    "capture_rows": MetricSpec("counter", "Scored instances written to a journal."),
    "ignored_fields": MetricSpec("counter", "Fields that the model lacks, left out."),
    "capture_lost_rows": MetricSpec("counter", "Scored instances that could not be written."),
    "capture_pending_rows": MetricSpec("gauge", "Captured instances that are not Parquet yet."),
    "capture_oldest_pending_seconds": MetricSpec(
        "gauge", "Age of the oldest captured instance that is not Parquet yet.", most=True
    ),
    "shadow_rows": MetricSpec("counter", "Instances that the shadow scored."),
    "shadow_dropped_rows": MetricSpec("counter", "Instances that the shadow had no room for."),
    "canary_outcomes": MetricSpec(
        "counter",
        "What became of requests while a canary answers a share, each person counted once.",
        ("trial", "arm", "outcome"),
    ),
    "canary_stopped_workers": MetricSpec(
        "gauge", "Workers that stopped a canary, by its beginning.", ("model_name", "begun")
    ),
    "serving_lived_seconds": MetricSpec("counter", "Seconds that workers took requests."),
    "serving_down_seconds": MetricSpec(
        "counter", "Of these, seconds in which a worker could not answer (no model, or only 5xx)."
    ),
    "serving_workers": MetricSpec(
        "gauge",
        "Workers, by the version they serve.",
        ("model_name", "alias", "model_version", "registry_version", "source"),
    ),
    "serving_refusing_workers": MetricSpec(
        "gauge",
        "Workers that do not serve what the alias names, by version and reason.",
        ("model_name", "alias", "registry_version", "reason"),
    ),
    "serving_degraded_workers": MetricSpec("gauge", "Workers that have reason to complain."),
    "serving_registry_reachable_workers": MetricSpec(
        "gauge", "Workers whose last poll was answered."
    ),
    "serving_heartbeat_age_seconds": MetricSpec(
        "gauge",
        "Seconds since a background part gave a sign of life, of the worker where it is longest.",
        ("part",),
        most=True,
    ),
}
"""`Metrics` keeps a series for every entry from its start; the values that
`serving.deployment.gauges` reads replace them."""
