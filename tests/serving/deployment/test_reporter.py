"""Proxy reports in MLflow, and their use by the commands and the panel."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.contract import names
from core.registry.proxies import (
    ProxyReport,
    ProxyState,
    read_reports,
    remove_forgotten,
    write_report,
)
from core.registry.versions import Registry
from mlflow_project.registry import main
from tests.tiny_versions import narrower

Register = Callable[..., int]


def states(registry: Registry) -> dict[str, ProxyState]:
    """Return each proxy's reported state; the pause lets others write to MLflow's SQLite."""
    time.sleep(0.3)
    return {report.state.proxy: report.state for report in read_reports(registry)}


@pytest.mark.slow
def test_promote_waits_for_proxies_and_names_who_refuses(
    register_version: Register,
    new_model: Callable[[], str],
    start: Callable[..., Any],
    mlflow_server: str,
    eventually: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Promote waits for two proxies; one with another alias, and later refusals, are reported."""
    name = new_model()
    monkeypatch.setenv("MODEL_NAME", name)
    registry = Registry(name, mlflow_server)
    register_version(name, "v1.0.0")
    register_version(name, "v1.1.0", seed=1, alias="staging")
    register_version(name, "v2.0.0", alias=None, change=narrower)
    promote = ["promote", "--model_version", "v1.1.0", "--wait"]
    assert main([*promote, "0.1"]) == 3
    assert "nenhum proxy" in capsys.readouterr().err
    assert main(["rollback", "--to", "v1.0.0", "--reason", "x"]) == 0
    one = start(name, poll_seconds=0.5, proxy_name="one").wait_ready()
    start(name, poll_seconds=0.5, proxy_name="two").wait_ready()
    start(
        name, poll_seconds=0.5, proxy_name="other", model_alias="staging", threshold=0.05
    ).wait_ready()
    eventually(lambda: states(registry).keys() == {"one", "two", "other"}, 120)
    capsys.readouterr()

    assert main([*promote, "60"]) == 0
    told = capsys.readouterr().out
    assert "2 de 2 proxies servem v1.1.0" in told
    assert "other segue o alias staging e serve v1.1.0" in told
    assert states(registry)["one"].number == "2"
    assert states(registry)["other"].threshold == "0.05"
    assert main(["rollback", "--reason", "worse", "--wait", "60"]) == 0

    # An alias set without the command breaks clients; list, panel and metrics show the refusal.
    capsys.readouterr()
    registry.set_alias(names.CHAMPION, 3)
    eventually(
        lambda: states(registry)["one"].refused == states(registry)["two"].refused == "3", 60
    )
    assert states(registry)["one"].code == "version_refused"
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    assert "0 de 2 proxies servem v2.0.0" in shown
    assert "o máximo cai para 50" in shown

    def told_on_the_page() -> bool:
        page = one.http.get("/painel").text
        return "two a recusa desde" in page and "other segue o alias staging" in page

    eventually(told_on_the_page, 60)
    scrape = one.http.get("/metrics").text
    assert 'serving_refusing_workers{alias="champion",model_name=' in scrape
    assert 'reason="version_refused"' in scrape


def test_a_refusal_ends_the_wait(
    register_version: Register,
    new_model: Callable[[], str],
    start: Callable[..., Any],
    mlflow_server: str,
    eventually: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A refusing proxy ends the wait with exit code 3 and is named; the alias has moved."""
    name = new_model()
    monkeypatch.setenv("MODEL_NAME", name)
    register_version(name, "v1.0.0")
    register_version(name, "v1.1.0", seed=1, alias=None)
    start(name, poll_seconds=0.5, proxy_name="strict", max_model_bytes=10**6).wait_ready()
    eventually(lambda: states(Registry(name, mlflow_server)), 60)
    start_again = start(
        name, poll_seconds=0.5, proxy_name="tiny", max_model_bytes=10, model_alias="champion"
    )
    eventually(lambda: start_again.http.get("/ready").status_code == 503)
    assert main(["promote", "--model_version", "v1.1.0", "--wait", "60"]) == 3
    told = capsys.readouterr().err
    assert "v1.1.0 é a champion" in told
    assert "1 de 2 proxies servem v1.1.0; tiny a recusa" in told


@pytest.mark.slow
def test_two_workers_have_one_report_and_it_goes_with_them(
    two_workers: Callable[..., Any], mlflow_server: str, eventually: Callable[..., Any]
) -> None:
    """Two workers of a server have one report, which is removed when the server stops."""
    with two_workers() as (process, proxy):
        registry = Registry(proxy.settings.model_name, mlflow_server)
        (port,) = (proxy.http.base_url.port,)
        (report,) = eventually(lambda: read_reports(registry), 90)
        assert report.state.proxy.endswith(f":{port}")
        assert report.state.release == "v1.0.0"
        process.terminate()
        process.wait(60)
    assert read_reports(registry) == []


def test_an_old_report_is_taken_over_and_a_forgotten_one_removed(
    register_version: Register, new_model: Callable[[], str], mlflow_server: str
) -> None:
    """A new proxy reuses the run of a killed one of its name; older reports are removed."""
    registry = Registry(new_model(), mlflow_server)
    register_version(registry.name)
    now = datetime.now(UTC)
    old, ancient = now - timedelta(hours=1), now - timedelta(days=2)
    left = write_report(registry, ProxyReport(ProxyState("a", "champion", "1"), old, old))
    write_report(registry, ProxyReport(ProxyState("b", "champion", "1"), ancient, ancient))
    assert [one.state.proxy for one in read_reports(registry)] == ["a"]
    again = write_report(registry, ProxyReport(ProxyState("a", "champion", "2"), now, now))
    assert again.run_id == left.run_id
    remove_forgotten(registry)
    experiment = registry.client.get_experiment_by_name(names.serving_experiment(registry.name))
    runs = registry.client.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'")
    assert [run.info.run_id for run in runs] == [left.run_id]


def test_a_forgotten_proxy_is_seen_again_as_soon_as_it_reports(
    register_version: Register, new_model: Callable[[], str], mlflow_server: str
) -> None:
    """A proxy whose stale run was ended by another's clean-up gets a new run at its next report."""
    registry = Registry(new_model(), mlflow_server)
    register_version(registry.name)
    now = datetime.now(UTC)
    ancient = now - timedelta(days=2)
    state = ProxyState("a", "champion", "1")
    forgotten = write_report(registry, ProxyReport(state, ancient, ancient))
    remove_forgotten(registry)
    again = write_report(registry, replace(forgotten, since=now, seen=now))
    assert [one.state.proxy for one in read_reports(registry)] == ["a"]
    assert write_report(registry, again).run_id == again.run_id


def test_a_report_that_is_being_written_is_not_forgotten(
    register_version: Register, new_model: Callable[[], str], mlflow_server: str
) -> None:
    """A run whose report is not written yet survives clean-up and is used for the report."""
    registry = Registry(new_model(), mlflow_server)
    register_version(registry.name)
    now = datetime.now(UTC)
    write_report(registry, ProxyReport(ProxyState("a", "champion", "1"), now, now))
    experiment = registry.client.get_experiment_by_name(names.serving_experiment(registry.name))
    begun = registry.client.create_run(experiment.experiment_id, None, {"proxy": "b"}, "b")
    remove_forgotten(registry)
    own = write_report(registry, ProxyReport(ProxyState("b", "champion", "1"), now, now))
    assert own.run_id == begun.info.run_id
    assert [one.state.proxy for one in read_reports(registry)] == ["a", "b"]


def test_following_goes_on_where_nothing_can_be_reported(
    register_version: Register,
    new_model: Callable[[], str],
    start: Callable[..., Any],
    mlflow_server: str,
    eventually: Callable[..., Any],
) -> None:
    """A failed report is logged; health stays healthy and a flip is followed."""
    name = new_model()
    registry = Registry(name, mlflow_server)
    # MLflow creates no run in a deleted experiment.
    place = registry.client.create_experiment(names.serving_experiment(name))
    registry.client.delete_experiment(place)
    register_version(name, "v1.0.0")
    second = register_version(name, "v1.1.0", seed=1, alias=None)
    proxy = start(name, poll_seconds=0.5, proxy_name="mute").wait_ready()
    said = "não pôde ser informado"
    eventually(lambda: any(said in line["message"] for line in proxy.log()), 60)
    registry.set_alias(names.CHAMPION, second)
    assert proxy.wait_for(registry_version=second)["status"] == "healthy"
