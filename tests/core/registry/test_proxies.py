"""Proxies' reports, classified by the version that they serve, and the sentence about them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.registry.fleet import told
from core.registry.proxies import SILENT, ProxyReport, ProxyState, fleet_of

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


def report(proxy: str, number: str = "2", age: float = 5, **said: Any) -> ProxyReport:
    """Return a proxy's report of `age` seconds ago."""
    state = ProxyState(**{
        "proxy": proxy, "alias": "champion", "number": number, "release": f"v1.{number}.0",
        **said,
    })  # fmt: skip
    seen = NOW - timedelta(seconds=age)
    return ProxyReport(state, seen, seen)


def sentence(*reports: ProxyReport) -> str:
    """Return the sentence about these proxies where the alias names version 2."""
    return told(fleet_of(reports, "champion", 2, NOW), "v1.2.0")


def test_all_alike_is_one_number() -> None:
    """Where all proxies serve the version, the sentence states only their number."""
    assert sentence(report("a"), report("b")) == "2 de 2 proxies servem v1.2.0"
    assert sentence(report("a")) == "1 de 1 proxy serve v1.2.0"


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (
            report("d", "1", refused="2", code="version_refused", reason="contrato incompatível"),
            r"2 de 3 proxies servem v1\.2\.0; d a recusa desde .* e serve v1\.1\.0: contrato",
        ),
        (report("d", "1"), r"2 de 3 proxies servem v1\.2\.0; d ainda serve v1\.1\.0$"),
        (report("d", ""), r"2 de 3 .*; d ainda serve v1\.\.0$"),
        (report("d", threshold="0.05"), r"3 de 3 proxies servem v1\.2\.0; d tem THRESHOLD=0\.05"),
        (report("d", "1", alias="staging"), r"2 de 2 .*; d segue o alias staging e serve v1\.1\.0"),
        (report("d", age=400), r"2 de 2 proxies servem v1\.2\.0; d sem notícias desde "),
    ],
)
def test_what_one_does_differently_is_said(odd: ProxyReport, said: str) -> None:
    """A refusal, an old version, an own threshold, another alias and a stale report are named."""
    import re

    assert re.search(said, sentence(report("a"), report("b"), odd))


def test_nobody_is_not_everybody() -> None:
    """A fleet without a recent report of a version is not complete; stale reports do not count."""
    assert not fleet_of([], "champion", 2, NOW).complete
    old = report("a", age=SILENT.total_seconds() + 1)
    assert not fleet_of([old], "champion", 2, NOW).complete
    assert fleet_of([report("b"), old], "champion", 2, NOW).complete
    assert not fleet_of([report("b", "")], "champion", None, NOW).complete
