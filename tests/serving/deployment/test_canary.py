"""Canary: share of requests, stickiness, comparison with the champion, automatic stop."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from scipy.stats import binom

from core.contract import names
from core.registry.proxies import read_reports
from core.registry.versions import Registry
from mlflow_project.registry import main
from serving.config.settings import Settings
from serving.deployment import trial as trials
from serving.deployment.deployment import Deployment
from serving.deployment.gauges import gauges
from serving.deployment.tally import Tally
from serving.metrics.counters import Metrics
from serving.telemetry.logs import JsonLog
from tests.tiny_versions import narrower

ROW = {"temperature": 21.5, "pressure": 1003.25, "wear": 2}
Register = Callable[..., int]


@pytest.fixture
def model(new_model: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a new model name and set `MODEL_NAME` to it for the registry commands."""
    name = new_model()
    monkeypatch.setenv("MODEL_NAME", name)
    return name


def command(text: str) -> None:
    """Run a registry command and assert that it succeeds."""
    assert main(text.split()) == 0


def canary(proxy: Any) -> Any:
    """Return the canary's entry in /health."""
    return proxy.health()["canary"]


def share(proxy: Any) -> Any:
    """Return the canary's share in percent, or None without a canary or a share."""
    found = canary(proxy)
    return found["share"] if found else None


def ask(proxy: Any, request: str, **fields: Any) -> tuple[str, str, float]:
    """Predict one row; return the response's release, the row's release, and the threshold."""
    answer = proxy.predict({**ROW, **fields}, headers={"X-Request-ID": request})
    assert answer.status_code == 200
    body = answer.json()
    return body["model_version"], body["predictions"][0]["model_version"], body["threshold"]


def test_a_share_is_answered_by_the_canary_whole_and_sticky(
    model: str, register_version: Register, start: Callable[..., Any],
    eventually: Callable[..., Any], mlflow_server: str,
) -> None:  # fmt: skip
    """The share is met, an entity sticks to a version, and stop or promote ends the canary."""
    register_version(model, "v1.0.0", threshold=0.3)
    second = register_version(model, "v1.1.0", threshold=0.6, seed=5, alias=None)
    proxy = start(
        model, poll_seconds=0.5, pseudonym_key="k", proxy_name="p", canary_stop=False
    ).wait_ready()
    command("canary start v1.1.0 --share 30 --reason first")
    eventually(lambda: share(proxy) == 30, 60)
    answers = [ask(proxy, f"r-{n}") for n in range(300)]
    assert set(answers) == {("v1.0.0", "v1.0.0", 0.3), ("v1.1.0", "v1.1.0", 0.6)}
    count = Counter(release for release, *_ in answers)["v1.1.0"]
    assert binom.ppf(1e-6, 300, 0.3) <= count <= binom.ppf(1 - 1e-6, 300, 0.3)
    assert [ask(proxy, f"r-{n}") for n in range(40)] == answers[:40]
    people = [{ask(proxy, f"s-{n}-{m}", serial=f"RA-{n}") for m in range(4)} for n in range(30)]
    assert all(len(one) == 1 for one in people)
    assert len(set.union(*people)) == 2
    several = proxy.predict(*[ROW] * 9, headers={"X-Request-ID": "many"}).json()
    assert len({row["model_version"] for row in several["predictions"]}) == 1
    listed = proxy.http.post("/predict/batch", json={"instances": [ROW]}).json()
    assert listed["model_version"] == "v1.0.0"
    scrape = proxy.http.get("/metrics").text
    assert 'canary_outcomes_total{arm="canary"' in scrape
    assert 'serving_workers{alias="canary"' in scrape

    command("canary stop --reason enough")
    eventually(lambda: share(proxy) is None, 60)
    assert {ask(proxy, f"t-{n}")[0] for n in range(40)} == {"v1.0.0"}
    command("canary start v1.1.0 --share 100")
    eventually(lambda: share(proxy) == 100, 60)
    assert ask(proxy, "u")[0] == "v1.1.0"
    command("canary promote --reason good --wait 60")
    registry = Registry(model, mlflow_server)
    assert registry.aliases() == {"champion": second, "previous": 1}
    frame = pd.concat([pd.read_parquet(path) for path in captured(proxy)])
    rows = frame.drop_duplicates("request_id").set_index("request_id")
    assert {tuple(rows.loc[f"r-{n}", ["model_version", "threshold"]]) for n in range(300)} == {
        ("v1.0.0", 0.3),
        ("v1.1.0", 0.6),
    }
    assert all(rows.loc[f"r-{n}", "model_version"] == answers[n][0] for n in range(300))


def captured(proxy: Any) -> list[Any]:
    """Return the captured files after a rotation request, once no row is pending."""
    from core.store.places import ROTATE_REQUEST
    from tests.live import eventually as wait

    (proxy.settings.journal_dir / ROTATE_REQUEST).touch()
    wait(lambda: proxy.health()["capture"]["pending"] == 0, 60)
    found: list[Any] = proxy.parquet()
    return found


def test_the_ledger_has_what_was_done_with_canaries(
    model: str, register_version: Register, capsys: pytest.CaptureFixture[str]
) -> None:
    """The ledger records start with its share and stop; invalid starts and stops are refused."""
    register_version(model, "v1.0.0", alias=None)
    register_version(model, "v1.1.0", seed=1, alias=None)
    register_version(model, "v2.0.0", alias=None, change=narrower)
    register_version(model, "v1.2.0", alias=None, tags={"gate": "failed", "gate.recall": "failed"})
    for refused in ("start v1.1.0", "stop", "promote"):
        assert main(["canary", *refused.split()]) == 1
    command("promote --model_version v1.0.0")
    for refused in ("start v1.0.0", "start v2.0.0", "start v1.2.0", "start v1.1.0 --share 0"):
        assert main(["canary", *refused.split()]) == 1
    assert "o máximo cai para 50" in capsys.readouterr().err
    command("canary start v1.1.0 --share 2,5 --reason try")
    assert "responde a 2,5 % dos pedidos" in capsys.readouterr().out
    command("canary stop")
    command("history")
    shown = capsys.readouterr().out
    assert "canary-start" in shown and "v1.1.0 (2,5 %)" in shown and "canary-stop" in shown


def test_a_refused_canary_costs_nobody_an_answer(
    model: str, register_version: Register, start: Callable[..., Any],
    eventually: Callable[..., Any], mlflow_server: str,
) -> None:  # fmt: skip
    """A canary alias set on a version that breaks clients is reported; the champion answers."""
    register_version(model, "v1.0.0")
    share = {names.TAG_CANARY_SHARE: "100"}
    register_version(model, "v2.0.0", alias="canary", change=narrower, tags=share)
    proxy = start(model, poll_seconds=0.5, proxy_name="p").wait_ready()
    eventually(lambda: (found := canary(proxy)) and "cai para 50" in (found["problem"] or ""), 60)
    assert ask(proxy, "r")[0] == "v1.0.0"
    assert proxy.health()["status"] == "healthy"
    registry = Registry(model, mlflow_server)
    eventually(lambda: [r for r in read_reports(registry) if r.state.canary_refused], 60)
    eventually(lambda: "p recusa o canário v2.0.0" in proxy.http.get("/painel").text, 40)


@pytest.mark.slow
def test_a_canary_that_is_worse_stops_itself_everywhere(
    model: str, register_version: Register, start: Callable[..., Any],
    eventually: Callable[..., Any], capsys: pytest.CaptureFixture[str], mlflow_server: str,
) -> None:  # fmt: skip
    """A canary that flags every row is stopped by one proxy, then by the other; history has it."""
    register_version(model, "v1.0.0", threshold=0.999)
    register_version(model, "v1.1.0", threshold=0.0, seed=5, alias=None)
    seeing = start(model, poll_seconds=0.5, proxy_name="seeing", canary_alpha=0.05).wait_ready()
    heeding = start(model, poll_seconds=0.5, proxy_name="heeding").wait_ready()
    command("canary start v1.1.0 --share 50")
    for proxy in (seeing, heeding):
        eventually(lambda proxy=proxy: share(proxy) == 50, 60)
    for n in range(60):
        ask(seeing, f"r-{n}")
    eventually(lambda: share(seeing) is None, 60)
    assert {ask(seeing, f"s-{n}")[0] for n in range(30)} == {"v1.0.0"}
    assert "canário v1.1.0 foi parado" in " ".join(line["message"] for line in seeing.log())
    eventually(lambda: share(heeding) is None, 60)
    eventually(lambda: "seeing parou o canário" in heeding.http.get("/painel").text, 40)
    command("history")
    assert "canary-stop" in capsys.readouterr().out
    assert Registry(model, mlflow_server).aliases() == {"champion": 1}


@pytest.mark.parametrize(
    ("outcome", "bad"),
    [(trials.ERRORS, (1, 12)), (trials.SLOW, (2, 14)), (trials.FLAGGED, (90, 60)),
     (trials.FLAGGED, (400, 3)), (trials.DIFFERING, (0, 60))],
)  # fmt: skip
def test_each_measure_can_stop_it(outcome: str, bad: tuple[int, int]) -> None:
    """Any measure that is worse stops a canary of 100 in 1,000 requests; equal rates do not."""
    settings = Settings(mlflow_tracking_uri="http://127.0.0.1:1")
    counts = {("champion", "requests"): 900, ("canary", "requests"): 100}
    alike = {("canary", "compared"): 100, ("canary", "differing"): 10}
    for name, (one, other) in {"errors": (9, 1), "slow": (18, 2), "flagged": (360, 40)}.items():
        alike |= {("champion", name): one, ("canary", name): other}
    before = trials.worst(trials.measures(counts | alike, 0.1, settings))
    assert before.evidence < before.enough
    worse = {("champion", outcome): bad[0], ("canary", outcome): bad[1]}
    found = trials.worst(trials.measures(counts | alike | worse, 0.1, settings))
    assert found.evidence >= found.enough


class Stopping:
    """A canary whose trial is stopped by another thread after the first read of it."""

    alias, stopped, tally = "canary", None, Tally(1.0)

    def __init__(self) -> None:
        """Prepare one read that returns version 2."""
        version = SimpleNamespace(name="machine", number=2)
        model = SimpleNamespace(version=version, release="v2", source="registry")
        self._looks = iter([SimpleNamespace(model=model)])

    @property
    def trial(self) -> Any:
        """Return the trial at the first read, None afterwards."""
        return next(self._looks, None)


def test_numbers_can_be_read_while_a_canary_is_stopped(tmp_path: Path) -> None:
    """The gauges read the trial once, so a concurrent stop raises nothing."""
    settings = Settings(
        model_name="machine", inference_store=tmp_path / "store", log_file=tmp_path / "app.log"
    )
    made: Any = Deployment(settings, JsonLog(settings.log_file), Metrics(None, dict))
    made.canary = Stopping()
    serving = gauges([made], 0)["serving_workers"]
    assert serving["machine", "canary", "v2", "2", "registry"] == 1
