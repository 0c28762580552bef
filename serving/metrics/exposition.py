"""`/metrics`: the workers' numbers added up, in the text format of Prometheus."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.metrics.counters import BATCH_BOUNDS, LATENCY_BOUNDS, Labels, Metrics, WorkerNumbers

Numbers = dict[Labels, Any]


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One metric: its kind, what it says, and the names of its labels."""

    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    bounds: Sequence[float] = ()
    most: bool = False
    """Whether the greatest of the workers' values counts, in place of their sum."""


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


def scrape_route(metrics: Metrics) -> Route:
    """Return the route that answers with the numbers of all workers since the server started."""

    # On the event loop: milliseconds there, but a thread waits long for its turn under overload.
    async def scrape(_: Request) -> Response:
        text = generate_latest(_Sum(added(metrics.parts())))
        return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    return Route("/metrics", scrape, methods=["GET"])


class _Sum(Collector):
    """Added numbers as metric families."""

    def __init__(self, numbers: Mapping[str, Numbers]) -> None:
        self._numbers = numbers

    def collect(self) -> Iterator[Metric]:
        for name, family in FAMILIES.items():
            yield _metric(name, family, self._numbers.get(name, {}))


def added(parts: Sequence[WorkerNumbers]) -> dict[str, Numbers]:
    """Add workers' snapshots; the gauges of those that have ended are left out."""
    total: dict[str, Numbers] = {name: {} for name in FAMILIES}
    for part in parts:
        for name, series in part.numbers.items():
            if FAMILIES[name].kind == "gauge" and not part.alive:
                continue
            plus = max if FAMILIES[name].most else _plus
            for labels, value in series:
                key = tuple(labels)
                before = total[name].get(key)
                total[name][key] = value if before is None else plus(before, value)
    return total


def _plus(one: Any, other: Any) -> Any:
    if not isinstance(one, list):
        return one + other
    counts = [a + b for a, b in zip(one[0], other[0], strict=True)]
    return [counts, one[1] + other[1]]


def _metric(name: str, family: MetricSpec, numbers: Numbers) -> Metric:
    if family.kind == "histogram":
        histogram = HistogramMetricFamily(name, family.help, labels=family.labels)
        for labels, (counts, total) in sorted(numbers.items()):
            bounds = [*(str(bound) for bound in family.bounds), "+Inf"]
            buckets = list(zip(bounds, accumulate(counts), strict=True))
            histogram.add_metric(labels, buckets, sum_value=total)
        return histogram
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = kind(name, family.help, labels=family.labels)
    for labels, value in sorted(numbers.items()):
        metric.add_metric(labels, value)
    return metric
