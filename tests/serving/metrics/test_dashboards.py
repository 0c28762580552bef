"""Dashboard and alert rules name metrics and labels of a live proxy, and the alerts fire."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from serving.metrics.families import FAMILIES
from tests.live import ROOT

RULES = ROOT / "deploy/prometheus/alerts.yml"
DASHBOARD = ROOT / "deploy/grafana/dashboards/api.json"
ROW = {"temperature": 21.5, "pressure": 1003.25, "wear": 2}
FROM_PROMETHEUS = {"up": {"job", "instance"}}
"""Metrics that Prometheus adds, with their labels."""
WORDS = {
    *("sum", "max", "count", "rate", "increase", "histogram_quantile"),
    *("by", "without", "and", "or", "unless", "on", "ignoring"),
}


def names_of(expression: str) -> tuple[set[str], set[str]]:
    """Return the metrics and the labels in a PromQL expression."""
    labels: set[str] = set()
    for inside in re.findall(r"\{(.*?)\}(?=[\s\[)+*/<>=-]|$)", expression):
        labels |= set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", inside))
    for inside in re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", expression):
        labels |= set(re.findall(r"\w+", inside))
    bare = re.sub(r"\b(?:by|without|on|ignoring)\s*\([^)]*\)", "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"", "", bare)
    return set(re.findall(r"\b[a-zA-Z_]\w*", bare)) - WORDS, labels


def expressions() -> Iterator[tuple[str, str]]:
    """Yield each expression of rules and dashboard with its annotations or legend."""
    for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"]:
        for rule in group["rules"]:
            yield rule["expr"], " ".join(rule["annotations"].values())
    for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]:
        for target in panel["targets"]:
            yield target["expr"], target["legendFormat"]


def test_every_metric_and_label_is_told_by_a_live_proxy(
    register_version: Callable[..., int], new_model: Callable[[], str], start: Callable[..., Any]
) -> None:
    """Every metric and label of rules and dashboard is in a live proxy's scrape."""
    name = new_model()
    register_version(name, "v1.2.0")
    proxy = start(name).wait_ready()
    assert proxy.predict(ROW).status_code == 200
    told: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(proxy.http.get("/metrics").text):
        suffix = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
        for end in suffix.get(family.type, ("",)):
            # A series without samples has the labels of its family.
            spec = FAMILIES[family.name]
            told[family.name + end] = {*spec.labels, *({"le"} if end == "_bucket" else ())}
        for sample in family.samples:
            assert set(sample.labels) == told[sample.name], sample.name
    found = 0
    for expression, shown in expressions():
        metrics, labels = names_of(expression)
        assert metrics, expression
        assert metrics <= set(told) | set(FROM_PROMETHEUS), expression
        known = {"instance"}.union(*(FROM_PROMETHEUS.get(m) or told[m] for m in metrics))
        assert labels <= known, expression
        grouped = set(re.findall(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}", shown))
        assert grouped <= labels | {"instance"}, expression
        found += len(metrics)
    assert found > 30


def test_names_are_found_in_expressions() -> None:
    """`names_of` finds the metrics and labels of PromQL expressions."""
    expression = 'sum by (le, path) (rate(http_x_bucket{path=~"/a|/b", status="5.."}[5m])) > 0.2'
    assert names_of(expression) == ({"http_x_bucket"}, {"le", "path", "status"})
    assert names_of("a_total / max without (part) (b)") == ({"a_total", "b"}, {"part"})


@pytest.mark.parametrize(
    "command",
    [
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts.test.yml"],
        ["check", "config", "--syntax-only", "prometheus.yml"],
    ],
)
def test_promtool_accepts_the_rules_and_they_fire(command: list[str]) -> None:
    """Rules and configuration pass `promtool check`, and the alerts pass their `promtool test`."""
    if shutil.which("promtool") is None:
        pytest.skip("no promtool (Debian: apt install prometheus)")
    done = subprocess.run(["promtool", *command], cwd=RULES.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_says_where_to_read_on_and_is_tested() -> None:
    """Each alert names an existing runbook section and has a test case in which it fires."""
    runbook = (ROOT / "RUNBOOK.md").read_text("utf-8")
    cases = RULES.with_name("alerts.test.yml").read_text("utf-8")
    tested = cases.partition("a proxy that is down")[2]
    for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"]:
        for rule in group["rules"]:
            section = rule["annotations"]["runbook"].removeprefix("RUNBOOK §")
            assert f"\n### {section} " in runbook, rule["alert"]
            assert f'alertname="{rule["alert"]}"' in tested, rule["alert"]
