"""`/metrics`: the workers' numbers added up, in the text format of Prometheus."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

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

from serving.metrics.counters import Metrics, WorkerNumbers
from serving.metrics.families import FAMILIES, Labels, MetricSpec

Numbers = dict[Labels, Any]


def scrape_endpoint(metrics: Metrics) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint that responds with the sums of all workers since the server started."""

    # On the event loop it takes milliseconds; a thread would wait long for the GIL under overload.
    async def scrape(_: Request) -> Response:
        text = generate_latest(_Sum(added(metrics.parts())))
        return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    return scrape


class _Sum(Collector):
    """Collector of the sums as metric families."""

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
